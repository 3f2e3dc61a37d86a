// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"bytes"
	"time"

	"go.uber.org/zap"
)

// delegate is what memberlist asks of us. Nothing of ours goes out with its
// broadcasts or its full exchanges.
type delegate struct {
	inbox *inbox
	self  []byte
}

// NodeMeta is called without a lock.
func (d delegate) NodeMeta(int) []byte { return d.self }

// NotifyMsg is called without a lock, on the goroutine of all packets or on
// that of a stream. The buffer is memberlist's again when it returns.
func (d delegate) NotifyMsg(packet []byte) { d.inbox.put(packet) }

// GetBroadcasts gives nothing.
func (d delegate) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState gives nothing.
func (d delegate) LocalState(bool) []byte { return nil }

// MergeRemoteState ignores what others add.
func (d delegate) MergeRemoteState([]byte, bool) {}

// levels writes memberlist's lines, whose level is a word in brackets, to zap.
// It may be called with the node lock held; zap does not wait for readers.
type levels struct {
	log       *zap.Logger
	strangers *strangers
}

// Write takes one line.
func (l levels) Write(line []byte) (int, error) {
	text := bytes.TrimSpace(line)
	level, rest, found := bytes.Cut(text, []byte("] "))
	if !found {
		level, rest = nil, text
	}
	message := string(bytes.TrimPrefix(rest, []byte("memberlist: ")))
	if l.strangers.note(string(text), time.Now()) {
		level = nil // one comes with every packet; who sends them is told once
	}
	switch string(level) {
	case "[ERR", "[ERROR":
		l.log.Error(message)
	case "[WARN":
		l.log.Warn(message)
	default: // its debug and info lines come with every probe
		l.log.Debug(message)
	}
	return len(line), nil
}
