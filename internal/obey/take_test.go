// SPDX-License-Identifier: Apache-2.0

package obey

import (
	"encoding/json"
	"math/rand"
	"strings"
	"testing"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
)

func order(id string, verb incident.Verb) incident.Order {
	return incident.Order{Era: 1, Effect: incident.Effect{ID: id, Once: &incident.Once{Agent: "n3", Verb: verb, Target: "n3", HostID: "h3"}}}
}

func token(rev int64) cluster.Token { return cluster.Token{Era: 1, Rev: rev} }

func TestTake(t *testing.T) {
	here := Facts{Self: "n3", Boot: "b2", HostID: "h3", Era: 1}
	with := func(f func(*Facts)) Facts { g := here; f(&g); return g }
	settled, cancelled, ours, formers := order("e", incident.VerbStart), order("e", incident.VerbStart), order("e", incident.VerbStart), order("e", incident.VerbStart)
	settled.State, cancelled.State = incident.Settled, incident.Cancelled
	ours.State, ours.By = incident.Claimed, "b2"
	formers.State, formers.By = incident.Claimed, "b1"
	elsewhere := order("e", incident.VerbStart)
	elsewhere.Once.Agent = "n1"
	stranger := order("e", incident.VerbStart)
	stranger.Once.HostID = "h9"
	of := func(era uint32) incident.Order { o := order("e", incident.VerbStart); o.Era = era; return o }
	preview := order("e", incident.VerbPreview)
	preview.Once.HostID = "h9"
	at := func(rev int64, effect string, done bool) Marks {
		return Marks{Cassandra: {Token: token(rev), Effect: effect, Done: done, Outcome: incident.Failed}}
	}
	rows := []struct {
		why   string
		marks Marks
		order incident.Order
		token cluster.Token
		facts Facts
		want  What
		rule  incident.Rule
	}{
		{"a new order is done", nil, order("e", incident.VerbStart), token(5), here, Start, ""},
		{"nothing is asked for", nil, incident.Order{}, token(5), here, Leave, ""},
		{"it is told already", nil, settled, token(5), here, Leave, ""},
		{"the leader was quicker", nil, cancelled, token(5), here, Leave, ""},
		{"it is for another agent", nil, elsewhere, token(5), here, Leave, ""},
		{"our own claim, whose answer was lost", nil, ours, token(5), here, Start, ""},
		{"our own claim, marked before the act broke off", at(5, "e", false), ours, token(5), here, Resume, ""},
		{"an earlier boot claimed it and there is no mark: the disk may be an older one", nil, formers, token(5), here, Known, ""},
		{"an earlier boot claimed it and the mark is of the order before it", at(4, "d", true), formers, token(5), here, Known, ""},
		{"an earlier boot marked it and died, or did it and the disk is an older one", at(5, "e", false), formers, token(5), here, Known, ""},
		{"an earlier boot did it and could not tell", at(5, "e", true), formers, token(5), here, Known, ""},
		{"done, and found open: still known", at(5, "e", true), order("e", incident.VerbStart), token(5), here, Known, ""},
		{"a lower token is turned away", at(6, "f", true), order("e", incident.VerbStart), token(5), here, Refuse, incident.TokenNeverFalls},
		{"an equal token of another effect too", at(5, "f", true), order("e", incident.VerbStart), token(5), here, Refuse, incident.TokenNeverFalls},
		{"a higher one is taken, also when the last never ended", at(4, "f", false), order("e", incident.VerbStart), token(5), here, Start, ""},
		{"written in an era before ours: it may have been done since that copy", nil, of(0), token(99), here, Known, ""},
		{"written in an era after ours: the picture is old", nil, of(2), token(1), here, Refuse, incident.TokenNeverFalls},
		{"written in an era before ours, and done then", Marks{Cassandra: {Token: cluster.Token{Rev: 5}, Effect: "e", Done: true, Outcome: incident.Uncertain}}, of(0), token(5), here, Known, ""},
		{"one of the same name was done in an era before ours", Marks{Cassandra: {Token: cluster.Token{Rev: 5}, Effect: "e", Done: true}},
			order("e", incident.VerbStart), token(4), here, Start, ""},
		{"one of the same name was done at a higher token", at(6, "e", true), order("e", incident.VerbStart), token(5), here, Refuse, incident.TokenNeverFalls},
		{"about another Cassandra than the one here", nil, stranger, token(5), here, Refuse, incident.IntentFirst},
		{"a Cassandra that was never asked has no ID to compare", nil, stranger, token(5), with(func(f *Facts) { f.HostID = "" }), Start, ""},
		{"looks are about other nodes", nil, preview, token(5), here, Start, ""},
		{"looks and acts do not block each other", at(9, "f", false), preview, token(5), here, Start, ""},
		{"closed: nothing is obeyed", nil, order("e", incident.VerbStart), token(5), with(func(f *Facts) { f.Closed = "wrong cluster" }), Refuse, incident.IntentFirst},
		{"a verb nobody taught us", nil, order("e", incident.VerbUnknown), token(5), here, Refuse, incident.IntentFirst},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			got := Take(r.marks, r.order, r.token, true, r.facts)
			if got.What != r.want || got.Rule != r.rule {
				t.Fatalf("got %+v", got)
			}
			switch got.What {
			case Start, Resume:
				if got.Mark.Effect != "e" || got.Mark.Token != r.token || got.Mark.Done || got.Resource == "" {
					t.Errorf("the mark to be written is %+v of %q", got.Mark, got.Resource)
				}
			case Known:
				found, marked := r.marks[Cassandra]
				want := incident.Uncertain
				if marked && found.Effect == "e" && found.Done {
					want = found.Outcome
				}
				if got.Mark.Outcome != want {
					t.Errorf("told is %+v, want %s", got.Mark, want)
				}
			case Refuse:
				if got.Why == "" {
					t.Error("refused without a reason")
				}
			}
		})
	}
}

// However orders arrive, again and in any order, the token obeyed per resource
// never falls, and no effect is started twice once it is done.
func TestTokensNeverFall(t *testing.T) {
	for seed := range int64(200) {
		r := rand.New(rand.NewSource(seed))
		var marks Marks
		done := map[string]bool{}
		verbs := []incident.Verb{incident.VerbStart, incident.VerbKill, incident.VerbPreview, incident.VerbRepair}
		for range 60 {
			n := 1 + r.Int63n(12)
			o := order("e"+string(rune('a'+n)), verbs[n%4])
			taken := Take(marks, o, token(n), true, Facts{Self: "n3", Boot: "b", HostID: "h3", Era: 1})
			if taken.What != Start && taken.What != Resume {
				continue
			}
			if before := marks[taken.Resource].Token; taken.Mark.Token.Compare(before) < 0 {
				t.Fatalf("seed %d: token fell from %s to %s", seed, before, taken.Mark.Token)
			}
			if done[o.ID] {
				t.Fatalf("seed %d: %s was done and is done again", seed, o.ID)
			}
			m := taken.Mark
			m.Done = r.Intn(2) == 0
			done[o.ID] = m.Done
			marks = marks.With(taken.Resource, m)
		}
	}
}

// What nobody waits for is not begun. A leader that went on in between sweeps
// it, if nobody claimed it; else this host must say so.
func TestWhatNobodyWaitsForIsNotBegun(t *testing.T) {
	here := Facts{Self: "n3", Boot: "b2", HostID: "h3", Era: 1}
	fresh, ours := order("e", incident.VerbStart), order("e", incident.VerbStart)
	ours.State, ours.By = incident.Claimed, "b2"
	mark := func(done bool) Marks {
		return Marks{Cassandra: {Token: token(5), Effect: "e", Done: done, Outcome: incident.Done}}
	}
	rows := []struct {
		why   string
		marks Marks
		order incident.Order
		want  What
	}{
		{"nobody claimed it: the leader sweeps it", nil, fresh, Leave},
		{"this boot claimed it, and its answer was lost", nil, ours, Refuse},
		{"this boot had begun it", mark(false), ours, Refuse},
		{"it is done, and that is told all the same", mark(true), ours, Known},
		{"it is refused for its own reason", Marks{Cassandra: {Token: token(6), Effect: "f"}}, fresh, Refuse},
	}
	for _, r := range rows {
		got := Take(r.marks, r.order, token(5), false, here)
		if got.What != r.want || got.What == Refuse && (got.Resource != Cassandra || got.Rule == "" || got.Why == "") {
			t.Errorf("%s: got %+v", r.why, got)
		}
	}
}

func TestEveryVerbHasAResource(t *testing.T) {
	for v := range incident.Verb(len(incident.Verbs())) {
		if _, ok := Resource(v); ok != (v != incident.VerbUnknown) {
			t.Errorf("verb %s: %v", v, ok)
		}
	}
}

func TestClaimAndSettleCompareWhatTheyRestOn(t *testing.T) {
	claim, err := Claim("order/n3/e", order("e", incident.VerbStart), 7, 2, "b2")
	if err != nil || len(claim.Compare) != 2 || claim.Compare[0] != (store.Compare{Key: "order/n3/e", Rev: 7}) || claim.Compare[1] != (store.Compare{Key: store.Era, Rev: 2}) {
		t.Fatalf("claim compares %+v (%v)", claim.Compare, err)
	}
	settle, err := Settle("order/n3/e", order("e", incident.VerbStart), 8, 2, "b2", incident.Failed, incident.Result{Why: strings.Repeat("x", 1000)})
	if err != nil {
		t.Fatal(err)
	}
	var o incident.Order
	if err := json.Unmarshal(settle.Put[0].Value, &o); err != nil || o.State != incident.Settled || o.Outcome != incident.Failed || o.By != "b2" || len(o.Result.Why) != whyMax {
		t.Errorf("settled as %+v (%v)", o, err)
	}
}

// A list that was cut would pass for all that differs.
func TestMoreTablesThanCanBeToldAreAFailure(t *testing.T) {
	res := incident.Result{Done: []int{0, 1}, Differs: make([]string, differsMax)}
	if o, r := bounded(incident.Done, res); o != incident.Done || len(r.Differs) != differsMax || len(r.Done) != 2 {
		t.Errorf("%d tables: %s, %d and %d told", differsMax, o, len(r.Differs), len(r.Done))
	}
	res.Differs = append(res.Differs, "ks.one_more")
	if o, r := bounded(incident.Done, res); o != incident.Failed || r.Done != nil || r.Differs != nil || !strings.Contains(r.Why, "1025 tables differ") {
		t.Errorf("one more: %s, %+v", o, r)
	}
}
