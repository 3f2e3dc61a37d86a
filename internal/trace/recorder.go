// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"cmp"
	"reflect"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
)

// AgeMax is how far back a recording reaches, where there is room.
const AgeMax = time.Hour

// The bounds of what a Recorder holds. Ten nodes say 2.6 MiB in a quiet hour, 73
// bytes a digest. A thousand say a hundred times as much; they get room for six
// minutes, since a judge of so many has memory for that and not for the hour.
const (
	bytesMin     = 4 << 20  // room for up to 64 nodes
	bytesPerNode = 64 << 10 // beyond
	bytesMost    = 32 << 20 // 512 nodes and more
	// parts is in how many blocks the whole is kept: the oldest goes as one.
	parts = 8
)

// Room is how many bytes the turns of so many nodes may take.
func Room(nodes int) int { return min(max(bytesMin, nodes*bytesPerNode), bytesMost) }

// Recorder keeps the newest turns of one judge. One loop owns it.
type Recorder struct {
	blocks []block // oldest first; the last one goes on
	w      *writer
	memory memory
	turns  int // of all blocks
	most   int // bytes, for tests; 0: as Room says
}

// block is a run of turns that can be read without those before it.
type block struct {
	began cluster.Moment
	turns int
	start int // bytes of its start
	b     []byte
}

// Turn keeps one turn of the judge, that had this view before it. It keeps
// parts of both; nobody changes them.
func (r *Recorder) Turn(before membership.View, t Turn) {
	if r.w == nil {
		r.begin(before, t)
	}
	r.w.turn(&r.memory, &t)
	b := &r.blocks[len(r.blocks)-1]
	b.b, b.turns = r.w.b, b.turns+1
	r.turns++
	room := cmp.Or(r.most, Room(len(t.Topology.Nodes)))
	if len(b.b)-b.start >= max(room/parts, b.start) || t.Now.Sub(b.began) >= AgeMax/parts {
		b.b = slices.Clone(b.b) // without the room that it grew into
		r.w = nil
	}
	r.forget(room, t.Now)
}

func (r *Recorder) begin(before membership.View, t Turn) {
	// The rules of the view are those of the turn before, of which only the bars are known.
	s := start{View: before, Rules: Rules{Bars: before.Bars, FenceAge: t.Rules.FenceAge}}
	r.w = newWriter(t.Now)
	r.w.signed(int64(t.Now))
	r.w.value(reflect.ValueOf(s))
	r.memory = remember(s, t.Now)
	r.blocks = append(r.blocks, block{began: t.Now, start: len(r.w.b)})
}

// forget drops the oldest blocks, while they are too many bytes, or the rest
// reaches back far enough.
func (r *Recorder) forget(room int, now cluster.Moment) {
	for len(r.blocks) > 1 && (r.bytes() > room || now.Sub(r.blocks[1].began) >= AgeMax) {
		r.turns -= r.blocks[0].turns
		r.blocks = slices.Delete(r.blocks, 0, 1)
	}
}

func (r *Recorder) bytes() (n int) {
	for i := range r.blocks {
		n += len(r.blocks[i].b)
	}
	return n
}

// Recording is what is kept now. It shares bytes with the Recorder, which
// changes none that it wrote.
func (r *Recorder) Recording(h Header) Recording {
	h.Turns, h.Blocks = r.turns, len(r.blocks)
	x := Recording{Header: h}
	for _, b := range r.blocks {
		x.blocks = append(x.blocks, b.b[:len(b.b):len(b.b)])
	}
	return x
}
