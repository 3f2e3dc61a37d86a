// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"supervisor/incident"
)

const (
	// logLines is how many lines wait for a reader that stalls.
	logLines = 1024
	// logSyncMax bounds the flush at the end: a reader that stalls then must not
	// keep the agent from ending.
	logSyncMax = time.Second
)

// logBuffer is where the log goes: it keeps the lines that out does not take
// at once and drops what is too much, because who logs must never wait for a
// reader. How many were dropped is told before the next line that is written.
type logBuffer struct {
	out     io.Writer
	lines   chan []byte
	flushes chan chan struct{}
	dropped atomic.Int64
}

// newLogBuffer writes to out for as long as the process lives.
func newLogBuffer(out io.Writer) *logBuffer {
	b := &logBuffer{out: out, lines: make(chan []byte, logLines), flushes: make(chan chan struct{})}
	go b.run()
	return b
}

// Write takes a line and never waits. It copies: the logger uses p again.
func (b *logBuffer) Write(p []byte) (int, error) {
	select {
	case b.lines <- bytes.Clone(p):
	default:
		b.dropped.Add(1)
	}
	return len(p), nil
}

// Sync waits until all that was taken before is written, but not for long.
func (b *logBuffer) Sync() error {
	timer := time.NewTimer(logSyncMax)
	defer timer.Stop()
	done := make(chan struct{})
	select {
	case b.flushes <- done:
	case <-timer.C:
		return fmt.Errorf("flush the log: its reader took nothing for %s", logSyncMax)
	}
	select {
	case <-done:
		return nil
	case <-timer.C:
		return fmt.Errorf("flush the log: its reader took nothing for %s", logSyncMax)
	}
}

func (b *logBuffer) run() {
	for {
		select {
		case line := <-b.lines:
			b.write(line)
		case done := <-b.flushes:
			for len(b.lines) > 0 {
				b.write(<-b.lines)
			}
			close(done)
		}
	}
}

// write writes one line, and before it how many were dropped since the last. An
// error has nobody to go to: this is the log.
func (b *logBuffer) write(line []byte) {
	if n := b.dropped.Swap(0); n > 0 {
		_, _ = fmt.Fprintf(b.out, `{"level":"warn","at":%q,"msg":"lines of this log were dropped: its reader did not take them","dropped":%d}`+"\n",
			incident.Stamp(time.Now()), n)
	}
	_, _ = b.out.Write(line)
}
