// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
)

// A word that is not believed once may be a straggler, or of a host that left the
// roster a moment ago. One that comes untakenMin times, over untakenSpan, is told,
// until it has not come for untakenFor. Whoever holds the gossip key can make up
// names, so untakenMax bounds them.
const (
	untakenMin  = 10
	untakenSpan = 10 * time.Second
	untakenFor  = time.Minute
	untakenMax  = 32
)

// untaken is what other agents said and the judge did not take, by a sentence for
// each reason and name.
type untaken map[string]repeated

type repeated struct {
	count       int
	first, last cluster.Moment
}

func (u untaken) note(what string, now cluster.Moment) {
	r, known := u[what]
	if !known && len(u) == untakenMax {
		return
	}
	if !known {
		r.first = now
	}
	r.count, r.last = r.count+1, now
	u[what] = r
}

// told forgets what comes no more, and joins the rest that was repeated; empty:
// nothing was.
func (u untaken) told(now cluster.Moment) string {
	var all []string
	for what, r := range u {
		switch {
		case now.Sub(r.last) >= untakenFor:
			delete(u, what)
		case r.count >= untakenMin && r.last.Sub(r.first) >= untakenSpan:
			all = append(all, what)
		}
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}

// digestRefused names why a digest was not taken; by is whom it says it is of, and
// empty where it does not say so.
func digestRefused(err error, by cluster.Name) string {
	switch {
	case errors.Is(err, membership.ErrDigestSignature):
		return "it says it is of " + string(by) + " and is not signed with that host's key"
	case errors.Is(err, membership.ErrDigestUnknown):
		return "it says it is of " + strconv.Quote(string(by)) + ", which is not on the roster with a key"
	case errors.Is(err, membership.ErrDigestReplayed):
		return "it is of " + string(by) + " and older than one that was taken"
	case errors.Is(err, membership.ErrDigestCluster):
		return "it is of " + string(by) + " of another cluster"
	case errors.Is(err, membership.ErrDigestWire):
		return "it has another version than this agent's"
	}
	return "it is malformed"
}

var ignoredWords = map[membership.Reason]string{
	membership.FromFuture:      "tells of looks that are still to come",
	membership.UnknownObserver: "is not on the roster",
	membership.UnknownSubject:  "tells of hosts that are not on the roster",
	membership.NotAssigned:     "tells of nodes that it was not to watch",
	membership.NotOwn:          "tells of the inside of nodes that are not its own",
	membership.Impossible:      "tells of looks that cannot be",
	membership.Superseded:      "speaks as a start of it that a later one replaced",
}

// ignored notes what the judge did not believe of the digest of an observer.
func (u untaken) ignored(before, after membership.View, by cluster.Name, now cluster.Moment) {
	for why, n := range after.Ignored { // order: each has a sentence of its own
		if n > before.Ignored[why] {
			u.note(string(by)+" "+ignoredWords[why], now)
		}
	}
}

// untakenTrouble tells of what other agents keep saying in vain.
func (d *desk) untakenTrouble(now cluster.Moment) {
	if what := d.untaken.told(now); what != "" {
		d.trouble("DIGESTS_REFUSED", "detail", what)
	} else {
		d.clear("DIGESTS_REFUSED")
	}
}
