// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
)

const (
	streamEvery = 200 * time.Millisecond // how often a stream looks for news
	beatEvery   = 5 * time.Second        // a comment, so that both sides notice a dead one
)

// cursor is how far a reader of the stream has come, in each datacenter's
// journal. It is the ID of every event of the stream: dc1-42,dc2-7.
type cursor map[cluster.Datacenter]int64

// parseCursor reads what String wrote. What it cannot read it leaves out, so
// that such a reader gets the journal from its start and misses nothing.
func parseCursor(text string) cursor {
	c := cursor{}
	for part := range strings.SplitSeq(text, ",") {
		i := strings.LastIndexByte(part, '-')
		if i < 0 {
			continue
		}
		dc, err := url.QueryUnescape(part[:i])
		n, bad := strconv.ParseInt(part[i+1:], 10, 64)
		if err == nil && bad == nil {
			c[cluster.Datacenter(dc)] = n
		}
	}
	return c
}

// String writes the cursor, datacenters sorted.
func (c cursor) String() string {
	var parts []string
	for dc, n := range c {
		parts = append(parts, fmt.Sprintf("%s-%d", url.QueryEscape(string(dc)), n))
	}
	slices.Sort(parts)
	return strings.Join(parts, ",")
}

// number is the number of an entry in its datacenter's journal.
func number(e incident.Entry) int64 {
	n, err := strconv.ParseInt(e.ID[strings.LastIndexByte(e.ID, '-')+1:], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Gap is the data of an event named gap: so many entries are no longer kept by this agent.
type Gap struct {
	Datacenter cluster.Datacenter `json:"datacenter"`
	Missing    int64              `json:"missing"`
}

// news are the entries after the cursor, and the gaps before them. The cursor
// is moved past them.
func (c cursor) news(log []incident.Entry) (gaps []Gap, entries []incident.Entry) {
	looked := map[cluster.Datacenter]bool{}
	for _, e := range log {
		dc, n := e.Subject.Datacenter, number(e)
		if at, followed := c[dc]; followed && !looked[dc] && n > at+1 {
			gaps = append(gaps, Gap{dc, n - at - 1})
		}
		looked[dc] = true
		if n > c[dc] {
			entries = append(entries, e)
		}
	}
	return gaps, entries
}

// now moves the cursor to the end of the log.
func (c cursor) now(log []incident.Entry) {
	for _, e := range log {
		c[e.Subject.Datacenter] = max(c[e.Subject.Datacenter], number(e))
	}
}

// events streams the journal: from the last event the reader names, from the
// start of what is kept with ?from=start, else from now.
func (s *Server) events(w http.ResponseWriter, r *http.Request) error {
	places := s.streams
	if r.TLS != nil {
		places = s.far
	}
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	default:
		return problem(AgentBusy, r.URL.Path, fmt.Sprintf("%d streams are open already", streamsMax))
	}
	sn, err := s.snapshot(r.Context())
	if err != nil {
		return err
	}
	at := parseCursor(r.Header.Get("Last-Event-ID"))
	if r.Header.Get("Last-Event-ID") == "" && r.URL.Query().Get("from") != "start" {
		at.now(sn.Log)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	s.stream(w, r, at)
	return nil
}

// stream writes until the reader goes, is too slow, is not believed any more, or
// the server ends.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, at cursor) {
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Time{})
	tick := time.NewTicker(streamEvery)
	defer tick.Stop()
	beat, asked := time.Now(), time.Now()
	gone := callerOf(r.Context()).gone
	first := true
	for {
		text := ""
		sn, err := s.snapshot(r.Context())
		if err == nil {
			text = at.write(sn.Log)
		}
		if text == "" && (first || time.Since(beat) > beatEvery) {
			text = ": here\n\n"
		}
		if text != "" {
			beat, first = time.Now(), false
			_ = rc.SetWriteDeadline(beat.Add(writeTimeout))
			if _, err := io.WriteString(w, text); err != nil || rc.Flush() != nil {
				return
			}
		}
		select {
		case <-r.Context().Done():
			return
		case <-s.ending:
			return
		case <-tick.C:
		}
		if gone != nil && time.Since(asked) > beatEvery {
			if gone() {
				return
			}
			asked = time.Now()
		}
	}
}

// write renders the news and moves the cursor past them.
func (c cursor) write(log []incident.Entry) string {
	var b strings.Builder
	gaps, entries := c.news(log)
	for _, g := range gaps {
		data, err := json.Marshal(g)
		if err == nil {
			fmt.Fprintf(&b, "event: gap\ndata: %s\n\n", data)
		}
	}
	for _, e := range entries {
		c[e.Subject.Datacenter] = number(e)
		data, err := json.Marshal(Event{Entry: e, Sentence: e.Sentence()})
		if err == nil {
			fmt.Fprintf(&b, "id: %s\ndata: %s\n\n", c, data)
		}
	}
	return b.String()
}
