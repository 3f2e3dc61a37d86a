// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/cassandra"
)

const (
	writesEvery = 10 * time.Second
	// writesSoon is the pace while somebody may ask: what was written is known to
	// have been before a repair only as closely as that.
	writesSoon = 2 * time.Second
	// unbrokenMax is how far apart two readings may be that tell of what was between.
	unbrokenMax = 30 * time.Second
	// countedMax bounds the tables whose counters are remembered, 100 bytes each; of the
	// others nothing is known.
	countedMax = 4096
	// quietMin is from when on a table counts as quiet: others are written. It is less
	// than a node takes to come back, so that what was written before is told apart.
	quietMin = 5 * time.Second
	// wordMax bounds the answer, in bytes. One that would be larger tells of no table.
	wordMax = 32 << 10
)

// counted is what is remembered of one table's counters.
type counted struct {
	id    string // another one: it was dropped and made again
	said  cassandra.TableWrites
	since cluster.Moment // of the first reading in a row
	wrote cluster.Moment // the latest moment at which a mutation can have been applied; 0: none in a row
	grew  cluster.Moment // and anything else been added; 0: nothing in a row
}

// writes remembers write counters as one process tells them.
type writes struct {
	process cluster.Boot
	at      cluster.Moment // when the last reading was over; 0: there is none
	tables  map[string]counted
}

// reading is one reading of all counters.
type reading struct {
	process    cluster.Boot
	began, end cluster.Moment
	said       map[string]cassandra.TableWrites
	ids        map[string]string // of the replicated tables; nil: the schema is not known
}

// take goes on from a reading. What is of another process, or too long after the last
// one, begins anew.
func (w *writes) take(r reading) {
	if w.process != r.process || w.at == 0 || r.began.Sub(w.at) > unbrokenMax {
		w.process, w.tables = r.process, nil
	}
	before := w.tables
	w.at, w.tables = r.end, make(map[string]counted, min(len(r.ids), countedMax))
	for _, name := range sortedKeys(r.ids) {
		said, told := r.said[name]
		if !told || len(w.tables) >= countedMax {
			continue
		}
		now := counted{id: r.ids[name], said: said, since: r.end}
		if old, known := before[name]; known && old.id == now.id {
			now = old.next(said, r.end)
		}
		w.tables[name] = now
	}
}

// next compares two readings in a row: what moved may have done so until the moment
// the second one was over. Fewer bytes are a compaction, which may hide that others came.
func (c counted) next(said cassandra.TableWrites, end cluster.Moment) counted {
	if said.Count != c.said.Count {
		c.wrote = end
	}
	if said.Bytes != c.said.Bytes {
		c.grew = end
	}
	c.said = said
	return c
}

// answer is what is told to those who ask; nil: nobody does, or nothing is known. It
// is of the moment at which the last reading began.
func (w *writes) answer(asked []string, began cluster.Moment) *incident.Writes {
	if len(asked) == 0 || w.at == 0 {
		return nil
	}
	out := &incident.Writes{Process: w.process, Answers: asked, Still: map[string]map[string][2]int64{}}
	size := 0
	for _, name := range sortedKeys(w.tables) {
		c := w.tables[name]
		wrote, all := began.Sub(max(c.since, c.wrote)), began.Sub(max(c.since, c.wrote, c.grew))
		if wrote < quietMin {
			continue
		}
		keyspace, table, _ := strings.Cut(name, ".")
		if out.Still[keyspace] == nil {
			out.Still[keyspace] = map[string][2]int64{}
			size += len(keyspace) + 6
		}
		out.Still[keyspace][table] = [2]int64{int64(wrote / time.Second), int64(max(0, all) / time.Second)}
		size += len(table) + 24
	}
	if size > wordMax {
		out.Still = nil
	}
	return out
}

// counts tells whether readings of a process go on: one that fails is no end.
func (w *writes) counts(process cluster.Boot, now cluster.Moment) bool {
	return w.at != 0 && w.process == process && now.Sub(w.at) <= unbrokenMax
}

// watchWrites reads the write counters at its pace, and at once when somebody asks.
func (a *Agent) watchWrites(ctx context.Context) {
	var w writes
	for ctx.Err() == nil {
		asked, err := ask(ctx, a, (*desk).asksWrites)
		if err != nil {
			return
		}
		r := reading{process: a.o.Observer.Process(), began: a.o.Clock.Now(), ids: asked.ids}
		var said *incident.Writes
		if asked.ever && a.readWrites(ctx, &r) {
			w.take(r)
			said = w.answer(asked.questions, r.began)
		}
		counts := w.counts(r.process, r.began)
		_, _ = ask(ctx, a, func(d *desk) struct{} { d.countsWrites(asked.questions, counts, said); return struct{}{} })
		pace := writesEvery
		if asked.soon {
			pace = writesSoon
		}
		a.restUntilAsked(ctx, pace)
	}
}

// readWrites asks the process that runs. One that was replaced meanwhile has said
// nothing.
func (a *Agent) readWrites(ctx context.Context, r *reading) bool {
	if r.process == "" {
		return false
	}
	said, err := a.o.Admin.Writes(ctx)
	r.said, r.end = said, a.o.Clock.Now()
	return err == nil && a.o.Observer.Process() == r.process
}

func (a *Agent) restUntilAsked(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-a.asked:
	}
}

// askedWrites is what the desk knows of who asks for which tables.
type askedWrites struct {
	questions []string
	ever      bool              // there may be one at all
	soon      bool              // there may be another one soon
	ids       map[string]string // of all replicated tables, by keyspace.table
}

func (d *desk) asksWrites() askedWrites {
	out := askedWrites{questions: d.state.Questions()}
	out.ever, out.soon = d.state.MayBeAsked()
	if d.state.Schema == nil {
		return out
	}
	out.ids = map[string]string{}
	for _, ks := range d.state.Schema.Keyspaces {
		if cluster.NeverReplicated(ks.Name) || !ks.Replication.Replicated() {
			continue
		}
		for _, t := range ks.Tables {
			if t.ID != "" {
				out.ids[ks.Name+"."+t.Name] = t.ID
			}
		}
	}
	return out
}

// countsWrites takes the answer in, once for each question: a later reading says more, and
// would have the key written anew each time. Where Paxos leaves writes behind that no counter
// has seen, or nobody knows whether it does, nothing is told.
func (d *desk) countsWrites(questions []string, counts bool, said *incident.Writes) {
	d.answeredTo = questions
	d.counts = counts && d.counters
	switch {
	case !d.counts:
		d.written = nil
	case said == nil || d.written == nil || d.written.Process != said.Process || !slices.Equal(d.written.Answers, said.Answers):
		d.written = said
	}
	d.announce()
}

// heedQuestions has the counters read at once for a question that is new.
func (d *desk) heedQuestions() {
	if now := d.state.Questions(); !slices.Equal(now, d.answeredTo) {
		wake(d.a.asked)
	}
}
