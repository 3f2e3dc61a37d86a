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

// Take turns a verified digest that arrived at the given moment into reports.
// A copy of the digest last taken gives none and is no error: observers send
// each one several times. A replaced boot whose sequence goes on is no
// recording but a straggler or a second agent of that name: it gives one
// empty report, which lets the judge tell the two apart, and none of its looks.
func (i *Inbox) Take(d Digest, at cluster.Moment) ([]Report, error) {
	if d.Cluster != i.Cluster {
		return nil, fmt.Errorf("take digest of %s, cluster %q, want %q: %w", d.Observer, d.Cluster, i.Cluster, ErrDigestCluster)
	}
	s, known := i.Senders[d.Observer]
	if known && d.Boot == s.Boot && d.Seq == s.Seq {
		return nil, nil
	}
	sign := Report{Observer: d.Observer, Boot: d.Boot, Process: d.Process, Unwell: d.Unwell, At: at}
	former := slices.IndexFunc(s.Former, func(f Former) bool { return f.Boot == d.Boot })
	switch {
	case former >= 0 && d.Seq > s.Former[former].Seq && at.Sub(s.At) > twinQuiet:
		// The one that replaced it is gone, a copy of its host perhaps, and it goes on.
		s.Former = slices.Delete(s.Former, former, former+1)
		s.Former = append(s.Former, Former{s.Boot, s.Seq})
	case former >= 0 && d.Seq > s.Former[former].Seq:
		s.Former[former].Seq = d.Seq
		i.remember(d.Observer, s)
		return []Report{sign}, nil
	case former >= 0, known && d.Boot == s.Boot && d.Seq < s.Seq:
		return nil, fmt.Errorf("take digest %d of %s: %w", d.Seq, d.Observer, ErrDigestReplayed)
	case known && d.Boot != s.Boot:
		s.Former = append(s.Former, Former{s.Boot, s.Seq})
		s.Former = s.Former[max(0, len(s.Former)-formerMax):]
	}
	s.Boot, s.Seq, s.At = d.Boot, d.Seq, at
	reports := make([]Report, 0, len(d.Looks))
	for _, l := range d.Looks {
		r := sign
		r.Look, r.At = l, at.Add(-l.Age)
		reports = append(reports, r)
	}
	if len(reports) == 0 {
		reports = append(reports, sign)
	}
	i.remember(d.Observer, s)
	return reports, nil
}

func (i *Inbox) remember(n cluster.Name, s Sender) {
	if i.Senders == nil {
		i.Senders = map[cluster.Name]Sender{}
	}
	i.Senders[n] = s
}
