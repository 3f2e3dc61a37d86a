// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
)

// The unit is told once that the agent is ready, not before it answers, and its
// watchdog is fed only while the agent goes round.
func TestTheUnitIsToldHowTheAgentIs(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	unit, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer unit.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "300000")
	t.Setenv("WATCHDOG_PID", "")
	hear := func(limit time.Duration) string {
		b := make([]byte, 256)
		_ = unit.SetReadDeadline(time.Now().Add(limit))
		n, _ := unit.Read(b)
		return string(b[:n])
	}
	var stands atomic.Bool
	stands.Store(true)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tellSystemd(ctx, func(context.Context) error {
			if stands.Load() {
				return errors.New("it stands")
			}
			return nil
		}, zap.NewNop())
	}()
	steps := []struct {
		stands bool
		within time.Duration
		want   string
	}{
		{true, 400 * time.Millisecond, ""},
		{false, 5 * time.Second, "READY=1\nWATCHDOG=1"},
		{false, 5 * time.Second, "WATCHDOG=1"},
	}
	for _, s := range steps {
		stands.Store(s.stands)
		if got := hear(s.within); got != s.want {
			t.Fatalf("heard %q, want %q", got, s.want)
		}
	}
	stands.Store(true)
	_ = hear(50 * time.Millisecond) // one that was on its way
	if got := hear(400 * time.Millisecond); got != "" {
		t.Errorf("one that stands is spoken for: %q", got)
	}
	stop()
	<-ended
	if got := hear(5 * time.Second); got != "STOPPING=1" {
		t.Errorf("at the end: %q", got)
	}
}
