// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/isolate"
)

// The stores of other regions are read and never written. What stands there keeps
// things here from being done, tells of ring members that are on no roster here, and
// begins nothing.

// AbroadFresh is how old the last word of another region's store may be: what was
// said before may be untrue by now.
const AbroadFresh = 6 * time.Second

// abroad is the store of another region as this agent last read it.
type abroad struct {
	picture *Picture
	told    cluster.Moment // when it answered last; zero: never
	belief  Belief
	era     uint32
}

// ReadAlso names the other regions whose stores are read.
func (s *State) ReadAlso(regions []cluster.Region) {
	s.abroad = make(map[cluster.Region]*abroad, len(regions))
	for _, r := range regions {
		s.abroad[r] = &abroad{picture: NewPicture()}
	}
}

// Elsewhere are the other regions whose stores are read, by name.
func (s *State) Elsewhere() []cluster.Region { return slices.Sorted(maps.Keys(s.abroad)) }

// KnownAbroad is the store of another region as it was believed last.
func (s *State) KnownAbroad(r cluster.Region, etcdCluster string) Known {
	a := s.abroad[r]
	return Known{EtcdCluster: etcdCluster, Rev: a.picture.Rev, Era: a.era}
}

// ForgetAbroad drops what was read of a region's store, for one that is another now.
func (s *State) ForgetAbroad(r cluster.Region) {
	a := s.abroad[r]
	a.picture, a.told, a.belief = NewPicture(), 0, Belief{}
}

// readAbroad takes a piece of another region's store in, if it may be believed.
func (s *State) readAbroad(in Abroad, now cluster.Moment) {
	a, named := s.abroad[in.Region]
	if !named {
		return
	}
	a.belief, _ = a.belief.Read(in.Batch, Known{EtcdCluster: in.EtcdCluster, Era: a.era})
	if a.belief.Doubt != "" || a.picture.whole == 0 && !in.Batch.Whole {
		return
	}
	if !a.picture.Apply(in.Batch) {
		return
	}
	a.era = a.picture.Era.Value.Era
	if in.Batch.Whole || len(in.Batch.KVs) == 0 {
		a.told = now // a change alone may come late, from a member that lags behind
	}
}

// UnreadAbroad tells why the words of another region do not count now, and since
// when; empty: they do.
func (s *State) UnreadAbroad(r cluster.Region, now cluster.Moment) (why string, since cluster.Moment) {
	a := s.abroad[r]
	unread := a.picture.Unread()
	switch twice := s.namedTwice(r); {
	case a.belief.Doubt != "":
		return a.belief.Doubt, a.told
	case a.told == 0:
		return unreadAbroad, 0
	case now.Sub(a.told) > AbroadFresh:
		return "it does not answer", a.told
	case a.picture.Era.Mod == 0:
		return "no store of this region stands there", a.told
	case !a.picture.Trusted():
		return "it was recovered, and nobody has acknowledged that", a.told
	case len(unread) > 0:
		return fmt.Sprintf("%s cannot be read: %s", unread[0], a.picture.Strange[unread[0]]), a.told
	case twice != "":
		return fmt.Sprintf("%s is a host of another region too: within one Cassandra cluster each has a name of its own", twice), a.told
	}
	return "", a.told
}

const unreadAbroad = "it was not read yet"

// namedTwice is a host of a region whose name another one has, this one or one that
// comes before it; empty: none.
func (s *State) namedTwice(r cluster.Region) (twice cluster.Name) {
	for n := range s.abroad[r].picture.Hosts { // order: the least name
		_, taken := s.Picture.Hosts[n]
		for other, a := range s.abroad { // order: whether there is one
			_, theirs := a.picture.Hosts[n]
			taken = taken || theirs && other < r
		}
		if taken && (twice == "" || n < twice) {
			twice = n
		}
	}
	return twice
}

// Roster are the hosts of all regions that were read, by name.
func (s *State) Roster() map[cluster.Name]cluster.Host {
	if len(s.abroad) == 0 {
		return s.Picture.Hosts
	}
	all := maps.Clone(s.Picture.Hosts)
	for _, r := range s.Elsewhere() {
		if s.namedTwice(r) == "" {
			maps.Copy(all, s.abroad[r].picture.Hosts)
		}
	}
	return all
}

// AbroadFences are the fences of another region as they were read last.
type AbroadFences struct {
	// At is when the region's store answered last, so that no fence beside these
	// stood; 0: it is not read.
	At     cluster.Moment
	Fences []AbroadFence
	Revs   map[string]int64 // see Picture.FenceRevs
}

// AbroadFence is a fence that stands in another region.
type AbroadFence struct {
	isolate.Fence
	Token   cluster.Token
	Storage string // address:port, as gossip knows it
	// Said is this agent's word about it as its own store shows it; nil: none.
	Said *isolate.Seen
}

// FencesAbroad are the fences of another region.
func (s *State) FencesAbroad(r cluster.Region, now cluster.Moment) AbroadFences {
	p := s.abroad[r].picture
	out := AbroadFences{Revs: p.FenceRevs()}
	if why, at := s.UnreadAbroad(r, now); why == "" {
		out.At = at
	}
	for _, n := range slices.Sorted(maps.Keys(p.Fences)) {
		f, token, stands := p.Standing(n)
		if !stands {
			continue
		}
		fence := AbroadFence{Fence: f, Token: token, Storage: p.Hosts[n].Storage}
		if said, is := s.Picture.Abroad[r][n][s.Self]; is {
			fence.Said = &said
		}
		out.Fences = append(out.Fences, fence)
	}
	return out
}

// noteMissed keeps since when the Cassandras here miss each member of another region.
func (s *State) noteMissed(now cluster.Moment, wall time.Time) {
	if len(s.abroad) == 0 || s.view.Began == 0 {
		return
	}
	w := s.World("", now, wall)
	s.missed = w.NowLost(s.missed)
}

// lookAbroad fills in what is known of the ring members that are not on the roster.
// Where no other region is named nothing is: nobody speaks for them.
func (s *State) lookAbroad(w *incident.World) {
	if len(s.abroad) == 0 || s.Schema == nil {
		return
	}
	w.Abroad = map[cluster.Name]incident.Foreign{}
	for _, m := range s.Schema.Members {
		if _, ours := s.Picture.Hosts[m.Name]; !ours {
			w.Abroad[m.Name] = incident.Foreign{}
		}
	}
	w.SeenAbroad = map[cluster.Name]map[cluster.Name]isolate.Seen{}
	for _, r := range s.Elsewhere() {
		s.lookAt(r, w)
	}
	w.LookAbroad(s.missed)
}

// lookAt fills in what one region says.
func (s *State) lookAt(r cluster.Region, w *incident.World) {
	if s.namedTwice(r) != "" {
		return
	}
	p := s.abroad[r].picture
	why, _ := s.UnreadAbroad(r, w.Now)
	lapsed := map[cluster.Name]bool{}
	for _, a := range p.Agents { // order: into a map
		for _, n := range a.Lapsed {
			lapsed[n] = true
		}
	}
	for n := range p.Hosts { // order: each for itself
		if _, member := w.Abroad[n]; !member {
			continue
		}
		f := incident.Foreign{Region: r, Told: why == ""}
		agent, there := p.Agents[n]
		f.Agent, f.Heard = agent, there && f.Told
		if fence, _, stands := p.Standing(n); stands {
			f.Fenced = fence.Levels != 0
		}
		f.Lapsed = lapsed[n]
		w.Abroad[n] = f
	}
	open := p.OpenRecords()
	for i := range open {
		if f, member := w.Abroad[open[i].Node]; member && f.Region == r {
			f.Record = &open[i]
			w.Abroad[open[i].Node] = f
		}
	}
	for node, by := range p.Abroad[s.Region] { // order: into a map
		if w.SeenAbroad[node] == nil {
			w.SeenAbroad[node] = map[cluster.Name]isolate.Seen{}
		}
		maps.Copy(w.SeenAbroad[node], by)
	}
}

// uncutAbroad lists the hosts that a fence of another region cuts off and this one
// has not cut off yet.
func (s *State) uncutAbroad(cuts []cluster.Name) (rest []cluster.Name) {
	for _, r := range s.Elsewhere() {
		rest = append(rest, s.abroad[r].picture.uncut("", cuts)...)
	}
	return rest
}

// runAbroad counts the Cassandras of other regions that run, by their agents' present
// words; known is false while a region is not read, or one of its agents has not said.
func (s *State) runAbroad(now cluster.Moment) (running int, known bool) {
	known = true
	for _, r := range s.Elsewhere() {
		if why, _ := s.UnreadAbroad(r, now); why != "" {
			known = false
			continue
		}
		for n := range s.abroad[r].picture.Hosts { // order: counted
			switch sights := s.abroad[r].picture.Agents[n].Sights; {
			case sights == nil:
				known = false
			case sights.Runs:
				running++
			}
		}
	}
	return running, known
}
