// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
	"supervisor/isolate"
	"supervisor/membership"
)

// fakePower is a hook that turns hosts of the region off.
type fakePower struct {
	r     *region
	by    cluster.Name
	hosts []cluster.Name
	takes time.Duration
	off   error // what off ends with
	looks error // what status ends with
	on    bool  // status says so, whatever was done
	never bool  // status says off, whatever is done
	asked func()
}

func (p *fakePower) Hosts() []cluster.Name { return p.hosts }

func (p *fakePower) Off(ctx context.Context, n cluster.Name) error {
	if pause(ctx, p.takes); ctx.Err() != nil {
		return ctx.Err()
	}
	p.r.mu.Lock()
	defer p.r.mu.Unlock()
	p.r.touched(n, "off by "+string(p.by))
	if p.off == nil && p.r.nodes[n].running {
		p.r.nodes[n].die()
		p.r.nodes[n].dark = true
	}
	return p.off
}

func (p *fakePower) Status(_ context.Context, n cluster.Name) (off bool, err error) {
	if p.asked != nil {
		p.asked()
	}
	p.r.mu.Lock()
	defer p.r.mu.Unlock()
	p.r.did(n, "looked at by "+string(p.by))
	node, there := p.r.nodes[n]
	return there && (p.never || !node.running && !p.on), p.looks
}

// withPower gives some agents a hook that knows n3.
func withPower(r *region, agents ...cluster.Name) map[cluster.Name]*fakePower {
	hooks := map[cluster.Name]*fakePower{}
	for _, n := range agents {
		hooks[n] = &fakePower{r: r, by: n, hosts: []cluster.Name{"n3"}, takes: time.Second}
		r.halt(n, true)
		r.start(n, func(o *Options) { o.Power = hooks[n] })
	}
	r.wait("everybody again", 30*time.Second, func() bool { return r.settled() })
	for _, n := range agents {
		r.wait("the word of "+string(n), time.Minute, func() bool { w := r.says(n).Power; return w != nil && slices.Equal(w.Can, []cluster.Name{"n3"}) })
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.story = nil
	return hooks
}

// says is what an agent says of itself in the store.
func (r *region) says(n cluster.Name) (a incident.Agent) {
	for _, kv := range r.store.list(store.Agent(n)) {
		if err := json.Unmarshal(kv.Value, &a); err != nil {
			r.t.Fatal(err)
		}
	}
	return a
}

// unreached takes a host away from everybody: its Cassandra stands still.
func (r *region) unreached(n cluster.Name) {
	r.set(n, func(node *fakeNode) { node.paused, node.dark = true, true })
	r.halt(n, false)
}

func (r *region) awaitHeld(most time.Duration, why string) {
	r.t.Helper()
	r.wait("Held: "+why, most, func() bool {
		rec, open := r.open()
		return open && rec.Phase == incident.Held && strings.Contains(rec.Held, why)
	})
}

// One agent turns the host off, another one looks; the host comes back by the hand
// of a person, its gate lets nothing start, and it returns repaired.
func TestAHostThatNobodyCanCutOffIsTurnedOffAndComesBackProven(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		withPower(r, "n1", "n2")
		began := time.Now()
		r.unreached("n3")
		r.wait("the end of its power", 2*time.Minute, func() bool { return r.count("n3 dies") == 1 })
		if took := time.Since(began); took < 15*time.Second {
			t.Errorf("it was turned off after %v, want 15 s at the least", took)
		}
		r.awaitHeld(time.Minute, "its host was turned off")
		rec, _ := r.open()
		if p := rec.Fenced.Power; len(rec.Fenced.Proof) != 2 || p.Off == "" || p.Off == p.By || p.Tries != 1 {
			t.Errorf("fenced: %+v", rec.Fenced)
		}
		time.Sleep(10 * time.Minute)
		if off := r.count("n3 off by n1") + r.count("n3 off by n2"); off != 1 {
			t.Errorf("turned off %d times: %v", off, r.story)
		}
		if r.count("n3 start") != 0 {
			t.Errorf("started: %v", r.story)
		}
		r.set("n3", func(n *fakeNode) { n.dark = false })
		own := r.start("n3")
		var first isolate.Answer
		r.wait("an answer to its gate", time.Minute, func() bool {
			a, err := ask(context.Background(), own.agent, func(d *desk) isolate.Answer { return d.gate(0) })
			if err != nil {
				t.Fatal(err)
			}
			first = a
			return a.Start != isolate.Wait
		})
		if first.Start != isolate.Refuse && first.Start != isolate.Hibernate {
			t.Errorf("its gate starts it: %+v", first)
		}
		r.awaitClosed(1, 5*time.Minute)
		if r.count("n3 start") != 1 || r.count("n3 begin hibernate") != 1 {
			t.Errorf("done: %v", r.story)
		}
	})
}

// The executor asks once more, right before it: what answers is never ended.
func TestAHostThatAnswersIsNotTurnedOff(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		for _, hook := range withPower(r, "n1", "n2") { // order: each by itself
			// It wakes up while the hook is asked whether it is off already.
			hook.asked = func() {
				r.set("n3", func(n *fakeNode) { n.paused, n.dark = false, false })
				time.Sleep(5 * time.Second) // until its answers are heard
			}
		}
		r.unreached("n3")
		r.wait("the order", 2*time.Minute, func() bool {
			rec, open := r.open()
			return open && rec.Fenced != nil && rec.Fenced.Power.Why != ""
		})
		r.start("n3")
		r.awaitClosed(1, 10*time.Minute)
		if r.count("n3 off by n1")+r.count("n3 off by n2") != 0 {
			t.Errorf("turned off: %v", r.story)
		}
	})
}

// A program that fails with 2 says off of everybody, which would prove the end of a
// host that only stands still. It is found out while the host answers.
func TestAHookThatSaysOffOfAHostThatAnswersIsNotBelieved(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		hook := &fakePower{r: r, by: "n1", hosts: []cluster.Name{"n3"}, takes: time.Second, never: true}
		r.halt("n1", true)
		r.start("n1", func(o *Options) { o.Power = hook })
		r.wait("its word", 5*time.Minute, func() bool { w := r.says("n1").Power; return w != nil && w.Cannot["n3"] != "" })
		if why := r.says("n1").Power.Cannot["n3"]; why != errNotOff.Error() {
			t.Errorf("it says %q", why)
		}
		believed := func(yes bool) {
			t.Helper()
			r.mu.Lock()
			hook.never = !yes
			r.mu.Unlock()
			r.wait(fmt.Sprintf("believed: %t", yes), 10*time.Minute, func() bool { return (r.says("n1").Power.Cannot["n3"] == "") == yes })
		}
		believed(true)
		believed(false)
		r.unreached("n3")
		r.awaitHeld(20*time.Minute, "n1 cannot turn it off: it says off of a host that answers")
		if rec, _ := r.open(); rec.Fenced != nil && len(rec.Fenced.Proof) != 0 {
			t.Errorf("proven: %+v", rec.Fenced)
		}
	})
}

func TestAHookThatFailsIsHeldWithItsWords(t *testing.T) {
	for _, tt := range []struct {
		why   string
		spoil func(*fakePower)
		says  string
		offs  int
	}{
		{"another checksum", func(p *fakePower) { p.looks = fmt.Errorf("another SHA-256: %w", ErrNotRun) }, "another SHA-256", 0},
		{"a look that fails", func(p *fakePower) { p.looks = errors.New("exit code 1") }, "nothing was turned off, for its end could not be seen: exit code 1", 0},
		{"off fails", func(p *fakePower) { p.off = errors.New("it did not end within 1m0s and was killed") }, "was killed", 3},
		{"it stays on", func(p *fakePower) { p.on, p.off = true, nil }, "it was turned off: the power hook says that n3 is on", 3},
		{"it hangs", func(p *fakePower) { p.takes = time.Hour }, "not known to be off after 3 orders, the last to n1: context deadline exceeded", 0},
	} {
		t.Run(tt.why, func(t *testing.T) {
			t.Parallel()
			inRegion(t, incident.Auto, func(r *region) {
				tt.spoil(withPower(r, "n1")["n1"])
				r.unreached("n3")
				r.awaitHeld(20*time.Minute, tt.says)
				rec, _ := r.open()
				if len(rec.Fenced.Proof) != 0 || rec.Fenced.Power.Off != "" {
					t.Errorf("proven all the same: %+v", rec.Fenced)
				}
				refused := 0
				for _, kv := range r.store.list(store.Logs) {
					var e incident.Entry
					if json.Unmarshal(kv.Value, &e) == nil && e.Code == "order_failed" && e.Kind == incident.Refused {
						refused++
					}
				}
				if notRun := strings.Contains(tt.says, "SHA-256"); notRun != (refused == 3) {
					t.Errorf("refused %d times: what was not run was not tried", refused)
				}
				if got := r.count("n3 off by n1"); got != tt.offs {
					t.Errorf("turned off %d times, want %d: %v", got, tt.offs, r.story)
				}
			})
		})
	}
}

// laterFences is a store that holds a fence which was not read yet.
type laterFences struct{ Journal }

func (l laterFences) List(ctx context.Context, prefix string) ([]store.KV, int64, error) {
	kvs, rev, err := l.Journal.List(ctx, prefix)
	if prefix == store.Fences {
		kvs = append(slices.Clone(kvs), store.KV{Key: store.Fence("n2"), Mod: rev})
	}
	return kvs, rev, err
}

// An agent that stood still wakes up with the fences of then.
func TestNobodyIsTurnedOffByAnOldFence(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		hook := withPower(r, "n1")["n1"]
		r.halt("n1", true)
		r.start("n1", func(o *Options) { o.Power, o.Journal = hook, laterFences{o.Journal} })
		r.unreached("n3")
		r.awaitHeld(5*time.Minute, "the fences are others by now than those that are known here")
		if r.count("n3 off by n1") != 0 {
			t.Errorf("turned off: %v", r.story)
		}
	})
}

// takenBack is a store whose incident waits for nothing any more, which was not read
// yet; its fences are as they were.
type takenBack struct{ Journal }

func (l takenBack) List(ctx context.Context, prefix string) ([]store.KV, int64, error) {
	kvs, rev, err := l.Journal.List(ctx, prefix)
	kvs = slices.Clone(kvs)
	for i, kv := range kvs {
		var r incident.Record
		if strings.HasPrefix(prefix, store.Incidents) && store.Strict(kv.Value, &r) == nil {
			r.Pending = nil
			kvs[i].Value, _ = json.Marshal(r)
		}
	}
	return kvs, rev, err
}

// The leader heard the host and took the order back; whoever claimed it stood still.
func TestNobodyIsTurnedOffByAnOrderThatWasTakenBack(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		hook := withPower(r, "n1")["n1"]
		r.halt("n1", true)
		r.start("n1", func(o *Options) { o.Power, o.Journal = hook, takenBack{o.Journal} })
		r.unreached("n3")
		r.awaitHeld(5*time.Minute, "no incident waits for it any more")
		if r.count("n3 off by n1") != 0 {
			t.Errorf("turned off: %v", r.story)
		}
	})
}

// Whoever is restarted while a host is turned off, the proof is had in the end, and
// nobody else is touched.
func TestAnAgentRestartedWhileAHostIsTurnedOffGoesOn(t *testing.T) {
	for _, who := range []cluster.Name{"n1", "n2"} {
		t.Run(string(who), func(t *testing.T) {
			t.Parallel()
			inRegion(t, incident.Auto, func(r *region) {
				hooks := withPower(r, "n1", "n2")
				r.unreached("n3")
				r.wait("an order", 2*time.Minute, func() bool {
					for _, kv := range r.store.list(store.Orders) {
						var o incident.Order
						if store.Strict(kv.Value, &o) == nil && o.Once.Verb == incident.VerbPowerOff && o.State == incident.Claimed {
							return true
						}
					}
					return false
				})
				r.halt(who, false)
				r.start(who, func(o *Options) { o.Power = hooks[who] })
				r.awaitHeld(20*time.Minute, "its host was turned off")
				for _, n := range []cluster.Name{"n1", "n2"} {
					if r.count(string(n)+" dies") != 0 {
						t.Errorf("%s was touched: %v", n, r.story)
					}
				}
			})
		})
	}
}

// What a hook can do stands in its agent's key before it is needed, and why not.
func TestTheWordOfAHookStandsInTheStore(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		hook := withPower(r, "n1")["n1"]
		if r.host("n1").finds("POWER_HOOK_FAILS") {
			t.Error("a hook that works is a finding")
		}
		r.mu.Lock()
		hook.looks = errors.New("exit code 1")
		r.mu.Unlock()
		r.wait("its word", powerEvery+time.Minute, func() bool { w := r.says("n1").Power; return len(w.Can) == 0 && w.Cannot["n3"] == "exit code 1" })
		r.wait("a finding", 10*time.Second, func() bool { return r.host("n1").finds("POWER_HOOK_FAILS") })
		r.mu.Lock()
		hook.looks, hook.hosts = nil, []cluster.Name{"n1", "n3", "n9"}
		r.mu.Unlock()
		r.wait("its word, soon again", powerAgain+10*time.Second, func() bool {
			return slices.Equal(r.says("n1").Power.Can, []cluster.Name{"n3", "n9"}) // not itself
		})
		r.wait("a plug of nobody", 10*time.Second, func() bool {
			for _, f := range r.host("n1").snapshot().Findings {
				if f.Code == "POWER_HOOK_FAILS" {
					return strings.Contains(fmt.Sprint(f), "no host of this name is on the roster")
				}
			}
			return false
		})
		if r.count("n1 looked at by n1") != 0 {
			t.Error("it asks about itself")
		}
	})
}

// An order that reaches an agent is held against what it knows itself.
func TestWhatAnExecutorRefusesToTurnOff(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		withPower(r, "n1")
		alive := func() bool { return r.host("n1").snapshot().World.View.Verdicts["n3"].Answer == membership.Alive }
		r.wait("its own judgement", time.Minute, alive)
		a := r.host("n1").agent
		order := func(target cluster.Name) errand {
			return errand{order: incident.Order{Incident: "inc-dc1-1", Effect: incident.Effect{ID: "x", Once: &incident.Once{Target: target}}}}
		}
		var refused refusal
		if err := a.powerOff(context.Background(), order("n1")); !errors.As(err, &refused) || !strings.Contains(err.Error(), "nobody turns himself off") {
			t.Errorf("itself: %v", err)
		}
		if err := a.powerOff(context.Background(), order("n3")); !errors.As(err, &refused) || refused.rule != incident.UnknownDestroysNothing {
			t.Errorf("one behind no fence: %v", err)
		}
		if err := r.host("n2").agent.powerOff(context.Background(), order("n3")); !errors.As(err, &refused) || !strings.Contains(err.Error(), "no power hook is named") {
			t.Errorf("without a hook: %v", err)
		}
		if r.touchedSoFar() != 0 || !alive() {
			t.Errorf("touched: %v", r.story)
		}
	})
}
