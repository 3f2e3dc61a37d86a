// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"supervisor/internal/certs"
	"supervisor/isolate"
)

// DefaultSocket is where an agent listens when nothing else is said.
const DefaultSocket = "/run/cassandra-supervisor/api.sock"

// answerMax bounds what a client reads: an agent of another version, or
// something that is no agent, must not fill the memory.
const answerMax = 64 << 20

// headerWait is longer than the longest answer takes: that of an order waits for
// the agent and for the store, each as long as it may take.
const headerWait = 8 * time.Second

// ordersPath takes orders.
const ordersPath = "/v1/orders"

// Client talks to one agent. It may be used by several goroutines.
type Client struct {
	at   string     // the socket, or https://ADDRESS
	base string     // of every path
	show *certs.Set // over the network: what is shown and believed
	http *http.Client
}

// NewClient makes a client; the connection is made with the first question.
func NewClient(socket string) *Client {
	dialer := net.Dialer{Timeout: time.Second}
	return &Client{at: socket, base: "http://agent", http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		},
		ResponseHeaderTimeout: headerWait, IdleConnTimeout: 10 * time.Second, DisableCompression: true,
	}}}
}

// Close lets kept connections go.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Get reads the answer of a path as it came, an envelope in JSON.
func (c *Client) Get(ctx context.Context, path string) ([]byte, error) {
	return c.exchange(ctx, http.MethodGet, path, nil)
}

// Post sends a request and reads the answer as it came.
func (c *Client) Post(ctx context.Context, path string, body any) ([]byte, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	return c.exchange(ctx, http.MethodPost, path, b)
}

// Path joins the parts of a path; each is escaped.
func Path(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("/" + url.PathEscape(p))
	}
	return b.String()
}

// query spells the pairs of a question that are not empty.
func query(pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// Decode reads an envelope. Fields that are not known are passed over: a
// newer agent may say more.
func Decode[T any](raw []byte) (Envelope[T], error) {
	var e Envelope[T]
	if err := json.Unmarshal(raw, &e); err != nil {
		return e, problem(AgentForeign, "", fmt.Sprintf("read the answer: %v", err))
	}
	if e.API != Version {
		return e, problem(AgentForeign, "", fmt.Sprintf("the answer is of interface %q, this command knows %s", e.API, Version))
	}
	return e, nil
}

// Gate asks the agent how its Cassandra may start.
func (c *Client) Gate(ctx context.Context, q GateQuestion) (isolate.Answer, error) {
	raw, err := c.Post(ctx, "/v1/gate", q)
	if err != nil {
		return isolate.Answer{}, err
	}
	e, err := Decode[isolate.Answer](raw)
	return e.Data, err
}

func (c *Client) exchange(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	resp, err := c.send(ctx, method, path, body, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, answerMax))
	if err != nil && path == ordersPath {
		return nil, c.unanswered(err)
	}
	if err != nil {
		return nil, problem(AgentUnreachable, c.at, fmt.Sprintf("the agent on %s broke off: %v", c.at, err))
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return nil, c.problem(resp.StatusCode, raw)
	}
	return raw, nil
}

func (c *Client) send(ctx context.Context, method, path string, body []byte, header map[string]string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", path, err)
	}
	req.Header.Set("Content-Type", "application/json")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if p := c.disbelieved(err); p != nil {
			return nil, p
		}
		var dial *net.OpError
		if sent := !errors.As(err, &dial) || dial.Op != "dial"; sent && path == ordersPath {
			return nil, c.unanswered(err)
		}
		return nil, c.unreachable(ctx, err)
	}
	return resp, nil
}

// unanswered is an order that was given to the agent, which did not say under
// which name, or whether, it was written down.
func (c *Client) unanswered(err error) error {
	return problem(OrderUnknown, "", fmt.Sprintf("nobody knows whether the order is written down: the agent on %s was given it and did not answer: %v", c.at, err))
}

func (c *Client) unreachable(ctx context.Context, err error) error {
	why := "it was asked and did not answer"
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, os.ErrNotExist):
		why = "there is no such socket"
	case noTLS(err):
		why = "what answers there speaks no TLS"
	case errors.Is(err, syscall.ECONNREFUSED):
		why = "nobody listens there"
	case errors.Is(err, os.ErrPermission):
		return problem(NotPermitted, c.at, fmt.Sprintf("you may not open %s", c.at))
	}
	return problem(AgentUnreachable, c.at, fmt.Sprintf("no agent answers on %s", c.at), why+"; Cassandra and the pools are as they were")
}

// problem reads the document of an error; what is none is a foreign server.
func (c *Client) problem(status int, raw []byte) error {
	var p Problem
	if err := json.Unmarshal(raw, &p); err != nil || p.Code == "" {
		return problem(AgentForeign, c.at, fmt.Sprintf("%s answers with status %d and no reason", c.at, status))
	}
	return &p
}

// Stream is the stream of events, as far as it was read.
type Stream struct {
	body io.ReadCloser
	scan *bufio.Scanner
	// Last is the ID to go on from after the connection broke.
	Last string
}

// StreamEvent is one event: a journal entry, or a gap.
type StreamEvent struct {
	ID   string
	Name string // empty: a journal entry, Data is an Event; gap: Data is a Gap
	Data []byte
}

// Events opens the stream after the event last; empty: from now, or with
// fromStart from the first event that is kept.
func (c *Client) Events(ctx context.Context, last string, fromStart bool) (*Stream, error) {
	path := "/v1/events"
	if fromStart {
		path += "?from=start"
	}
	header := map[string]string{"Accept": "text/event-stream"}
	if last != "" {
		header["Last-Event-ID"] = last
	}
	resp, err := c.send(ctx, http.MethodGet, path, nil, header)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer func() { _ = resp.Body.Close() }()
		raw, _ := io.ReadAll(io.LimitReader(resp.Body, bodyMax))
		return nil, c.problem(resp.StatusCode, raw)
	}
	scan := bufio.NewScanner(resp.Body)
	scan.Buffer(make([]byte, 0, 64<<10), bodyMax)
	return &Stream{body: resp.Body, scan: scan, Last: last}, nil
}

// Next waits for the next event; io.EOF when the agent ended the stream.
func (s *Stream) Next() (StreamEvent, error) {
	var e StreamEvent
	for s.scan.Scan() {
		line := s.scan.Text()
		key, value, _ := strings.Cut(line, ": ")
		switch {
		case line == "" && e.Data != nil:
			if e.ID != "" {
				s.Last = e.ID
			}
			return e, nil
		case key == "id":
			e.ID = value
		case key == "event":
			e.Name = value
		case key == "data":
			e.Data = []byte(value)
		}
	}
	if err := s.scan.Err(); err != nil {
		return e, fmt.Errorf("read the stream: %w", err)
	}
	return e, io.EOF
}

// Close ends the stream.
func (s *Stream) Close() { _ = s.body.Close() }
