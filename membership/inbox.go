// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"supervisor/cluster"
)

// The reasons why a digest that is well signed is not taken.
var (
	ErrDigestCluster  = errors.New("digest is of another cluster")
	ErrDigestReplayed = errors.New("digest is older than one already taken")
)

// Inbox remembers the last digest taken of every observer, so that none is
// taken twice or after a younger one. Boots are random and have no order;
// the Inbox remembers those it saw, and a boot that another one replaced
// never counts again.
//
// A replaced boot whose sequence goes on while the one that replaced it has been
// silent for twinQuiet is taken again.
//
// What it cannot refuse: a recording of a start of an agent that lies more
// than formerMax starts back, or from before this Inbox began. The true agent
// speaks within a second and then looks superseded itself, so the judge finds
// two agents with one name and believes neither.
//
// One loop owns it: Take changes it.
type Inbox struct {
	Cluster string // only digests of this cluster are taken
	Senders map[cluster.Name]Sender
}

// Sender is what an Inbox remembers of one observer.
type Sender struct {
	Boot   cluster.Boot
	Seq    uint64         // highest taken of Boot
	At     cluster.Moment // when the last of Boot was taken
	Former []Former       // replaced boots, youngest last, at most formerMax
}

// Former is a start of an agent that a later one replaced.
type Former struct {
	Boot cluster.Boot
	Seq  uint64 // highest seen of it
}

// twinQuiet is how long the younger of two agents of one name must be silent
// before the older is believed again: long enough for both to be found out.
const twinQuiet = 30 * time.Second

// Taken is a digest that counts.
type Taken struct {
	Digest
	At cluster.Moment // when it arrived
}

// Take turns a verified digest that arrived at the given moment into reports.
func (i *Inbox) Take(d Digest, at cluster.Moment) ([]Report, error) {
	taken, counts, err := i.Admit(d, at)
	if !counts {
		return nil, err
	}
	return taken.Reports(), nil
}

// Admit takes a verified digest that arrived at the given moment.
// A copy of the digest last taken does not count and is no error: observers send
// each one several times. A replaced boot whose sequence goes on is no
// recording but a straggler or a second agent of that name: it counts without
// its looks, which lets the judge tell the two apart.
func (i *Inbox) Admit(d Digest, at cluster.Moment) (t Taken, counts bool, err error) {
	if d.Cluster != i.Cluster {
		return t, false, fmt.Errorf("take digest of %s, cluster %q, want %q: %w", d.Observer, d.Cluster, i.Cluster, ErrDigestCluster)
	}
	s, known := i.Senders[d.Observer]
	if known && d.Boot == s.Boot && d.Seq == s.Seq {
		return t, false, nil
	}
	former := slices.IndexFunc(s.Former, func(f Former) bool { return f.Boot == d.Boot })
	switch {
	case former >= 0 && d.Seq > s.Former[former].Seq && at.Sub(s.At) > twinQuiet:
		// The one that replaced it is gone, a copy of its host perhaps, and it goes on.
		s.Former = slices.Delete(s.Former, former, former+1)
		s.Former = append(s.Former, Former{s.Boot, s.Seq})
	case former >= 0 && d.Seq > s.Former[former].Seq:
		s.Former[former].Seq = d.Seq
		i.remember(d.Observer, s)
		d.Looks = nil
		return Taken{d, at}, true, nil
	case former >= 0, known && d.Boot == s.Boot && d.Seq < s.Seq:
		return t, false, fmt.Errorf("take digest %d of %s: %w", d.Seq, d.Observer, ErrDigestReplayed)
	case known && d.Boot != s.Boot:
		s.Former = append(s.Former, Former{s.Boot, s.Seq})
		s.Former = s.Former[max(0, len(s.Former)-formerMax):]
	}
	s.Boot, s.Seq, s.At = d.Boot, d.Seq, at
	i.remember(d.Observer, s)
	return Taken{d, at}, true, nil
}

// Reports are its looks as the judge takes them; without any, one empty report,
// so that hearing the observer counts.
func (t *Taken) Reports() []Report {
	sign := Report{Observer: t.Observer, Boot: t.Boot, Process: t.Process, Unwell: t.Unwell, At: t.At}
	if len(t.Looks) == 0 {
		return []Report{sign}
	}
	reports := make([]Report, len(t.Looks))
	for i := range reports {
		r := &reports[i]
		*r = sign
		r.Look, r.At = t.Looks[i], t.At.Add(-t.Looks[i].Age)
	}
	return reports
}

func (i *Inbox) remember(n cluster.Name, s Sender) {
	if i.Senders == nil {
		i.Senders = map[cluster.Name]Sender{}
	}
	i.Senders[n] = s
}
