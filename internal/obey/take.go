// SPDX-License-Identifier: Apache-2.0

package obey

import (
	"encoding/json"
	"fmt"
	"maps"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
)

// Mark is the highest token obeyed for one resource, with the effect it
// belonged to. It is synced to disk before the act.
type Mark struct {
	Token   cluster.Token    `json:"token"`
	Effect  string           `json:"effect"`
	Done    bool             `json:"done"`
	Outcome incident.Outcome `json:"outcome"`
	Result  incident.Result  `json:"result"`
}

// Marks are the marks of one agent, by resource.
type Marks map[string]Mark

// Cassandra is the resource that every order about the agent's own node
// shares: two of them never run at once.
const Cassandra = "cassandra"

// Looks is the resource of orders that only read, also through other nodes.
const Looks = "looks"

// Power is the resource of orders about the power of another host. They wait for
// nothing that a repair or a comparison does.
const Power = "power"

// Resource names what an order touches. ok is false for a verb that nobody
// taught this program.
func Resource(v incident.Verb) (resource string, ok bool) {
	switch v {
	case incident.VerbStart, incident.VerbKill, incident.VerbJoinRing, incident.VerbRepair:
		return Cassandra, true
	case incident.VerbPreview, incident.VerbReadRows:
		return Looks, true
	case incident.VerbPowerOff, incident.VerbPowerStatus:
		return Power, true
	case incident.VerbUnknown:
		return "", false
	}
	return "", false
}

// Facts is what an executor knows of itself.
type Facts struct {
	Self   cluster.Name
	Boot   cluster.Boot
	HostID cluster.HostID // of its own Cassandra; empty when it was never asked
	Era    uint32         // of the store, as it stands now
	// Closed tells why nothing at all is obeyed: wrong cluster, a state
	// directory that cannot be written; empty: obey.
	Closed string
}

// What an executor does with an order.
type What uint8

// The answers of Take.
const (
	Leave  What = iota // not for now, or not for us
	Start              // claim, mark, act
	Resume             // an act of this boot that broke off: claim it over, act again
	Known              // done before, or nobody knows: settle with the outcome on the mark, without a claim
	Refuse             // settle as refused, with the reason, without a claim
)

// Taken is the decision about one order.
type Taken struct {
	What     What
	Resource string
	Rule     incident.Rule
	Why      string
	Mark     Mark // to be written before the act, or found on disk
}

// Take decides about one order that is not in the caller's hands right now.
// token is the revision of the transaction that created it, awaited tells whether
// an open incident waits for it. A claim of this very boot that is found there is
// one whose answer was lost: it is taken up.
func Take(marks Marks, o incident.Order, token cluster.Token, awaited bool, f Facts) Taken {
	t := take(marks, o, token, f)
	if awaited || t.What != Start && t.What != Resume {
		return t
	}
	return t.unwanted(o)
}

// unwanted leaves an order alone that no incident waits for: the leader sweeps
// those nobody claimed. One that this host claimed, in this boot or an earlier
// one, is turned away, so that it is not done hours later.
func (t Taken) unwanted(o incident.Order) Taken {
	if o.State == incident.Open {
		return Taken{What: Leave}
	}
	return t.refuse(incident.IntentFirst, "no incident waits for it any more")
}

// take is Take about an order that somebody waits for.
func take(marks Marks, o incident.Order, token cluster.Token, f Facts) Taken {
	if o.Once == nil || o.State == incident.Settled || o.State == incident.Cancelled || o.Once.Agent != f.Self {
		return Taken{What: Leave}
	}
	resource, known := Resource(o.Once.Verb)
	t := Taken{Resource: resource, Mark: Mark{Token: token, Effect: o.ID}}
	mark, marked := marks[resource]
	same := marked && mark.Effect == o.ID && mark.Token == token // names come again in a store that went back, tokens do not
	formers := o.State == incident.Claimed && o.By != f.Boot
	switch {
	case same && mark.Done && o.Era == f.Era:
		return Taken{What: Known, Resource: resource, Mark: mark} // what was done is told, also by one that obeys no more
	case f.Closed != "":
		return t.refuse(incident.IntentFirst, f.Closed)
	case !known:
		return t.refuse(incident.IntentFirst, fmt.Sprintf("verb %s is not known here", o.Once.Verb))
	case o.Era < f.Era:
		// Written before the store was recovered: it may have been done since, and
		// nobody waits for it any more.
		return t.unknown(fmt.Sprintf("it was written in era %d, the store is in era %d: it may have been done", o.Era, f.Era))
	case o.Era > f.Era:
		return t.refuse(incident.TokenNeverFalls, fmt.Sprintf("it was written in era %d, the store is in era %d", o.Era, f.Era))
	case same && !formers:
		t.What = Resume
		return t
	case marked && !same && token.Compare(mark.Token) <= 0:
		return t.refuse(incident.TokenNeverFalls, fmt.Sprintf("token %s is not above %s, obeyed for %s", token, mark.Token, mark.Effect))
	case formers:
		return t.unknown(fmt.Sprintf("boot %s claimed it, and this disk does not know what became of it", o.By))
	case resource == Cassandra && f.HostID != "" && o.Once.HostID != "" && f.HostID != o.Once.HostID:
		return t.refuse(incident.IntentFirst, fmt.Sprintf("it is about host ID %s, here is %s", o.Once.HostID, f.HostID))
	}
	t.What = Start
	return t
}

func (t Taken) refuse(rule incident.Rule, why string) Taken {
	t.What, t.Rule, t.Why = Refuse, rule, why
	return t
}

// unknown ends an order of which this disk cannot say whether it was done. So is
// one that an earlier boot claimed: it died before or in the act, or the disk is
// an older one and it was done. It is not done again.
func (t Taken) unknown(why string) Taken {
	t.What = Known
	t.Mark.Done, t.Mark.Outcome = true, incident.Uncertain
	t.Mark.Result.Why = why
	return t
}

// With returns marks with one of them set; the caller writes them to disk.
func (m Marks) With(resource string, mark Mark) Marks {
	out := maps.Clone(m)
	if out == nil {
		out = Marks{}
	}
	out[resource] = mark
	return out
}

// Claim is the transaction that takes an order into this agent's hands. It
// fails when anybody else was first, also the leader that cancelled.
func Claim(key string, o incident.Order, mod, era int64, boot cluster.Boot) (store.Txn, error) {
	o.State, o.By = incident.Claimed, boot
	return rewrite(key, o, mod, era)
}

// Settle is the transaction that tells how an order ended. It fails when the
// order is no longer in this boot's hands. More than can be told is a failure:
// a list that was cut would pass for the whole.
func Settle(key string, o incident.Order, mod, era int64, boot cluster.Boot, outcome incident.Outcome, res incident.Result) (store.Txn, error) {
	o.State, o.By = incident.Settled, boot
	o.Outcome, o.Result = bounded(outcome, res)
	return rewrite(key, o, mod, era)
}

func rewrite(key string, o incident.Order, mod, era int64) (store.Txn, error) {
	b, err := json.Marshal(o)
	if err != nil {
		return store.Txn{}, fmt.Errorf("encode order %s: %w", o.ID, err)
	}
	return store.Txn{
		Compare: []store.Compare{{Key: key, Rev: mod}, {Key: store.Era, Rev: era}},
		Put:     []store.Put{{Key: key, Value: b}},
	}, nil
}

// Limits of what an executor may say, so that a record stays small.
const (
	whyMax     = 240
	differsMax = 1024
)

func bounded(o incident.Outcome, r incident.Result) (incident.Outcome, incident.Result) {
	if n := len(r.Differs); n > differsMax {
		o = incident.Failed
		r = incident.Result{Took: r.Took, Why: fmt.Sprintf("%d tables differ, %d at most can be told", n, differsMax)}
	}
	r.Why = r.Why[:min(len(r.Why), whyMax)]
	return o, r
}
