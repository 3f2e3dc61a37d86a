// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"encoding/binary"
	"testing"
	"time"

	"supervisor/membership"
)

func TestClocks(t *testing.T) {
	const ms = time.Millisecond
	now := time.Unix(1_700_000_000, 0)
	// heard is an answer of a clock that is 2 s ahead.
	type heard struct {
		out, back time.Duration // on the way
		lay       time.Duration // here, before it was read
	}
	for _, row := range []struct {
		why     string
		answers []heard
		asked   time.Duration // after the last answer
		known   bool
		way     time.Duration // of the answer that counts
	}{
		{"nobody answered", nil, 0, false, 0},
		{"there and back", []heard{{ms, ms, 0}}, 0, true, 2 * ms},
		{"a way that is long in one direction only", []heard{{400 * ms, 0, 0}}, 0, true, 400 * ms},
		{"or in the other", []heard{{0, 400 * ms, 0}}, 0, true, 400 * ms},
		{"the quickest way back tells most", []heard{{300 * ms, 300 * ms, 0}, {ms, ms, 0}, {200 * ms, 200 * ms, 0}}, 0, true, 2 * ms},
		{"what lay here before it was read is not believed", []heard{{ms, ms, 900 * ms}, {100 * ms, 100 * ms, 0}}, 0, true, 200 * ms},
		{"only the last three count", []heard{{ms, ms, 0}, {50 * ms, 50 * ms, 0}, {60 * ms, 60 * ms, 0}, {70 * ms, 70 * ms, 0}}, 0, true, 100 * ms},
		{"who was not heard for long is forgotten", []heard{{ms, ms, 0}}, clockAge + 1, false, 0},
	} {
		c := newClocks()
		for _, h := range row.answers {
			given := now.Add(-h.lay - h.back).Add(2 * time.Second)
			c.take("n2", h.out+h.back, binary.BigEndian.AppendUint64(nil, uint64(given.UnixNano())), now)
		}
		got := c.ahead(now.Add(row.asked))["n2"]
		if known := got != (membership.Clock{}); known != row.known {
			t.Errorf("%s: %+v", row.why, got)
		}
		if off := (got.Ahead - 2*time.Second).Abs(); row.known && (off > got.Error || got.Error != row.way/2+1) {
			t.Errorf("%s: %v ahead, more or less %v; it is 2 s, to be known by %v", row.why, got.Ahead, got.Error, row.way/2)
		}
	}
}

func TestAnAnswerWithoutATimeIsPassedOver(t *testing.T) {
	c := newClocks()
	c.take("n2", time.Millisecond, nil, time.Now())
	c.take("n2", time.Millisecond, []byte("something of a later version"), time.Now())
	c.take("n2", -1, c.AckPayload(), time.Now())
	if got := c.ahead(time.Now()); len(got) != 0 || len(c.seen) != 0 {
		t.Errorf("%v", got)
	}
}
