// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// AdminOptions bound the calls of an Admin.
type AdminOptions struct {
	ReadMax time.Duration // one read may take so long
	ActMax  time.Duration // one write or operation may take so long; a drain is the longest
	BodyMax int64         // bytes of an answer; a longer one is nonsense
}

// DefaultAdminOptions suit a cluster of up to a few hundred nodes: one
// endpoint is about 600 bytes of an answer.
func DefaultAdminOptions() AdminOptions {
	return AdminOptions{ReadMax: 2 * time.Second, ActMax: time.Minute, BodyMax: 4 << 20}
}

// Admin is a client of one node's admin interface. It keeps one connection
// and may be used by several goroutines.
type Admin struct {
	url string
	o   AdminOptions
	web *http.Client
}

// NewAdmin returns a client for the Jolokia agent at url, which is like
// http://ADDRESS:8778/jolokia/; a missing last slash is added, because without
// it the agent answers 404. Bounds that are zero take their default.
func NewAdmin(url string, o AdminOptions) *Admin {
	base := DefaultAdminOptions()
	if o.ReadMax <= 0 {
		o.ReadMax = base.ReadMax
	}
	if o.ActMax <= 0 {
		o.ActMax = base.ActMax
	}
	if o.BodyMax <= 0 {
		o.BodyMax = base.BodyMax
	}
	return &Admin{url: strings.TrimRight(url, "/") + "/", o: o, web: &http.Client{
		Transport: &http.Transport{ // no proxy: the admin interface is local
			DialContext:         (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext,
			MaxIdleConnsPerHost: 2,
			IdleConnTimeout:     time.Minute,
			DisableCompression:  true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close lets the kept connection go. Calls after it open a new one.
func (a *Admin) Close() { a.web.CloseIdleConnections() }

// request is one item of a bulk request.
type request struct {
	Type      string         `json:"type"` // read, write or exec
	MBean     string         `json:"mbean"`
	Attribute any            `json:"attribute,omitempty"`
	Value     any            `json:"value,omitempty"`
	Operation string         `json:"operation,omitempty"`
	Arguments []any          `json:"arguments,omitempty"`
	Config    map[string]any `json:"config,omitempty"`
}

// answer is one item of a bulk answer.
type answer struct {
	Status    int             `json:"status"`
	Value     json.RawMessage `json:"value"`
	ErrorType string          `json:"error_type"`
	Error     string          `json:"error"`
}

// messageMax bounds what is kept of Cassandra's words.
const messageMax = 600

// fault is the error of one answered item, nil when it succeeded. HTTP says
// 200 also when the item failed.
func (n answer) fault() error {
	if n.Status == http.StatusOK {
		return nil
	}
	return &AdminError{Status: n.Status, Type: n.ErrorType, Message: n.Error[:min(len(n.Error), messageMax)]}
}

// into decodes the value of a successful item.
func (n answer) into(v any) error {
	if err := n.fault(); err != nil {
		return err
	}
	if err := json.Unmarshal(n.Value, v); err != nil {
		return fmt.Errorf("%w: %w", ErrNonsense, err)
	}
	return nil
}

// bulk sends all requests in one POST and returns their answers in order.
func (a *Admin) bulk(ctx context.Context, max time.Duration, asks ...request) ([]answer, error) {
	body, err := json.Marshal(asks)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", a.url, err)
	}
	own, cancel := context.WithTimeout(ctx, max)
	defer cancel()
	text, err := a.post(own, body)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", a.url, heardHTTP(ctx, err))
	}
	var got []answer
	if err := json.Unmarshal(text, &got); err != nil {
		return nil, fmt.Errorf("ask %s: %w: %w", a.url, ErrNonsense, err)
	}
	if len(got) != len(asks) {
		return nil, fmt.Errorf("ask %s: %w: %d answers to %d questions", a.url, ErrNonsense, len(got), len(asks))
	}
	return got, nil
}

func (a *Admin) post(ctx context.Context, body []byte) ([]byte, error) {
	// includeRequest=false: the echo of the question would double the answer.
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url+"?includeRequest=false", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := a.web.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, a.o.BodyMax+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(text)) > a.o.BodyMax:
		return nil, fmt.Errorf("%w: more than %d bytes", ErrNonsense, a.o.BodyMax)
	case resp.StatusCode != http.StatusOK:
		return nil, &AdminError{Status: resp.StatusCode, Message: http.StatusText(resp.StatusCode)}
	}
	return text, nil
}

// read asks for one attribute and decodes it into v.
func (a *Admin) read(ctx context.Context, mbean, attribute string, v any) error {
	got, err := a.bulk(ctx, a.o.ReadMax, request{Type: "read", MBean: mbean, Attribute: attribute})
	if err != nil {
		return err
	}
	return got[0].into(v)
}

// exec calls one operation and decodes its result into v unless v is nil.
func (a *Admin) exec(ctx context.Context, mbean, operation string, v any, arguments ...any) error {
	got, err := a.bulk(ctx, a.o.ActMax, request{Type: "exec", MBean: mbean, Operation: operation, Arguments: arguments})
	if err != nil {
		return err
	}
	if v == nil {
		return got[0].fault()
	}
	return got[0].into(v)
}
