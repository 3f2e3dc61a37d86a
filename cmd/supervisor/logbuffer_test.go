// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// stalled is a reader that takes nothing until it is let go.
type stalled struct {
	mu   sync.Mutex
	text strings.Builder
	gate chan struct{}
	here chan struct{} // capacity 1: somebody waits at the gate
}

func (s *stalled) Write(p []byte) (int, error) {
	select {
	case s.here <- struct{}{}:
	default:
	}
	<-s.gate
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func TestNobodyWaitsForTheReaderOfTheLog(t *testing.T) {
	out := &stalled{gate: make(chan struct{}), here: make(chan struct{}, 1)}
	b := newLogBuffer(out)
	began := time.Now()
	const lines = 3 * logLines
	for i := range lines {
		if _, err := fmt.Fprintf(b, "line %d\n", i); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			<-out.here
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("%d lines took %s", lines, took)
	}
	if err := b.Sync(); err == nil {
		t.Error("a flush to a reader that takes nothing succeeded")
	}
	close(out.gate)
	if err := b.Sync(); err != nil {
		t.Error(err)
	}
	if _, err := io.WriteString(b, "after\n"); err != nil {
		t.Fatal(err)
	}
	if err := b.Sync(); err != nil {
		t.Error(err)
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	text := out.text.String()
	kept := strings.Count(text, "line ")
	if !strings.HasPrefix(text, "line 0\n") || !strings.HasSuffix(text, "after\n") || kept < logLines || kept > logLines+1 {
		t.Errorf("%d lines of %d are left", kept, lines)
	}
	if want := fmt.Sprintf(`"dropped":%d}`, lines-kept); strings.Count(text, want) != 1 {
		t.Errorf("nobody says %s", want)
	}
}
