// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/store"
	"supervisor/isolate"
	"supervisor/membership"
)

// shows waits until an agent shows a finding, with a line in its log.
func (h *run) shows(code string) {
	h.r.t.Helper()
	h.r.wait(code+" at "+string(h.name), time.Minute, func() bool { return h.finds(code) })
	h.r.wait(code+" in the log of "+string(h.name), time.Second, func() bool { return h.logged(code) })
}

// announces waits until an agent says of itself that something is wrong.
func (h *run) announces(code string) {
	h.r.t.Helper()
	h.r.wait(code+" announced by "+string(h.name), time.Minute, func() bool {
		for _, t := range h.snapshot().World.Agents[h.name].Troubles {
			if t.Code == code {
				return h.logged(code)
			}
		}
		return false
	})
}

func TestWithoutAStoreNothingIsStartedAndObservingGoesOn(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		before := r.touchedSoFar()
		r.store.outage(2 * time.Minute)
		time.Sleep(5 * time.Second)
		sent := len(r.store.commits)
		r.crash("n3")
		for _, n := range names {
			r.host(n).shows("STORE_NO_QUORUM")
		}
		r.wait("a verdict without a store", 20*time.Second, func() bool {
			return r.host("n1").snapshot().World.View.Verdicts["n3"].Answer == membership.Gone
		})
		time.Sleep(time.Minute)
		if after := r.touchedSoFar(); after != before {
			t.Errorf("%d acts without a store: %v", after-before, r.story)
		}
		if n := len(r.store.commits) - sent; n > 200 {
			t.Errorf("%d transactions were tried in a minute", n)
		}
		r.awaitClosed(1, 5*time.Minute)
		r.wait("the finding gone", 10*time.Second, func() bool { return !r.host("n1").finds("STORE_NO_QUORUM") })
	})
}

func TestWithoutAProxyTheReturnGoesOn(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.mu.Lock()
		r.proxy.gone = true
		r.mu.Unlock()
		r.host("n1").shows("POOL_UNREACHABLE")
		r.crash("n3")
		r.wait("the node repaired and opened", 2*time.Minute, func() bool { return r.count("n3 rows read, 0 old") == 1 })
		r.mu.Lock()
		r.proxy.gone = false
		r.mu.Unlock()
		r.awaitClosed(1, 15*time.Minute)
	})
}

func TestASilentAdminInterfaceIsAFindingAndNothingIsDone(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.set("n3", func(n *fakeNode) { n.silent = true })
		r.host("n3").announces("ADMIN_SILENT")
		r.wait("the finding at the leader", 5*time.Second, func() bool { return r.leader().finds("ADMIN_SILENT") })
		time.Sleep(2 * time.Minute)
		r.quiet()
		r.set("n3", func(n *fakeNode) { n.silent = false })
		r.wait("the finding gone", 10*time.Second, func() bool { return !r.leader().finds("ADMIN_SILENT") })
	})
}

func TestADataDirectoryThatIsNotWritableIsAFindingAndNothingIsDone(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.set("n3", func(n *fakeNode) { n.unwatched = syscall.EACCES })
		r.host("n3").announces("DATA_DIR_UNWATCHED")
		r.wait("the finding at the leader", 5*time.Second, func() bool { return r.leader().finds("DATA_DIR_UNWATCHED") })
		time.Sleep(2 * time.Minute)
		r.quiet()
		r.set("n3", func(n *fakeNode) { n.unwatched = nil })
		r.wait("the finding gone", 10*time.Second, func() bool { return !r.leader().finds("DATA_DIR_UNWATCHED") })
	})
}

// The holds of a later program stop every decision, and a person hears of it from
// whichever agent is asked.
func TestAKeyThatCannotBeReadIsAFindingAndNothingIsDone(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.store.put(store.Holds, []byte(`{"of_a_later_program":true}`))
		r.host("n3").announces("STORE_KEY_UNREAD")
		r.host("n1").shows("STORE_KEY_UNREAD")
		r.crash("n3")
		time.Sleep(time.Minute)
		if st := api.StatusOf(r.host("n2").snapshot()); st.State != api.NeedsYou {
			t.Errorf("while nothing is decided about n3: %s, %v", st.State, st.Why)
		}
		r.quiet()
		r.store.put(store.Holds, []byte(`{}`))
		r.wait("the finding gone", 10*time.Second, func() bool { return !r.host("n1").finds("STORE_KEY_UNREAD") })
		r.awaitClosed(1, 15*time.Minute)
	})
}

// quiet checks that nothing was done and nothing is open.
func (r *region) quiet() {
	r.t.Helper()
	if n := r.touchedSoFar(); n != 0 {
		r.t.Errorf("%d acts: %v", n, r.story)
	}
	if rec, open := r.open(); open {
		r.t.Errorf("%s is open in %s", rec.ID, rec.Phase)
	}
}

func TestAnAgentOfAnotherClusterAbstainsAndObeysNothing(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.set("n3", func(n *fakeNode) { n.cluster = "foreign" })
		r.host("n3").announces("CLUSTER_NAME_WRONG")
		r.wait("abstaining", 10*time.Second, func() bool { return r.leader().snapshot().World.View.Observers["n3"].Unwell })
		r.set("n3", func(n *fakeNode) { n.native = false }) // a reason to act
		r.store.put(store.Fence("n3"), []byte(`{"node":"n3","host_id":"id-n3","levels":["clients","reads"],"start":"hibernate","incident":"inc-dc1-9"}`))
		r.crash("n3")
		time.Sleep(2 * time.Minute)
		r.obeysNothing("n3")
	})
}

// obeysNothing checks that no act reached a node beside what its pools do.
func (r *region) obeysNothing(n cluster.Name) {
	r.t.Helper()
	for _, e := range []string{"start", "kill", "join_ring", "repair ks", "severity 50", "native off", "native on"} {
		if times := r.count(string(n) + " " + e); times > 0 {
			r.t.Errorf("%q was done %d times to %s", e, times, n)
		}
	}
}

func TestAForeignCassandraIsNotFenced(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.set("n3", func(n *fakeNode) { n.cluster = "foreign" })
		r.host("n3").announces("CLUSTER_NAME_WRONG")
		r.store.put(store.Fence("n3"), []byte(`{"node":"n3","host_id":"id-n3","levels":["clients","reads"],"start":"hibernate","incident":"inc-dc1-9"}`))
		time.Sleep(30 * time.Second)
		r.obeysNothing("n3")
	})
}

func TestTwoAgentsOfOneNameBothAbstain(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		first := r.host("n3")
		second := r.start("n3")
		r.wait("the judge sees two", time.Minute, func() bool { return r.host("n1").finds("AGENT_DUPLICATE_NAME") })
		first.announces("AGENT_DUPLICATE_NAME")
		second.announces("AGENT_DUPLICATE_NAME")
		r.crash("n3")
		time.Sleep(2 * time.Minute)
		r.obeysNothing("n3")
		for _, h := range []*run{first, second} {
			h.announces("AGENT_DUPLICATE_NAME")
		}
		r.halt("n3", true)
		r.wait("the other one is alone", 2*time.Minute, func() bool { return len(first.snapshot().World.Agents["n3"].Troubles) == 0 })
		r.restart("n3") // the judge believes no start again that a later one replaced
		r.wait("the judge believes it again", 2*time.Minute, func() bool { return !r.host("n1").finds("AGENT_DUPLICATE_NAME") })
	})
}

func TestWithoutAStateDirectoryNothingIsObeyed(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		dir, away := filepath.Join(r.dir, "n3"), filepath.Join(r.dir, "n3.away")
		move := func(from, to string) {
			if err := os.Rename(from, to); err != nil {
				t.Fatal(err)
			}
		}
		r.halt("n3", true)
		move(dir, away)
		if err := os.WriteFile(dir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		h := r.start("n3")
		h.announces("STATE_DIR_UNWRITABLE")
		r.wait("abstaining", 10*time.Second, func() bool { return r.leader().snapshot().World.View.Observers["n3"].Unwell })
		r.crash("n3")
		time.Sleep(20 * time.Second)
		r.obeysNothing("n3")
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		move(away, dir)
		r.wait("the finding gone", 30*time.Second, func() bool { return !h.finds("STATE_DIR_UNWRITABLE") })
	})
}

// A file that cannot be read today may be good: it is neither written over nor
// taken for empty, whatever the other one says.
func TestAnUnreadFileIsNotWrittenOver(t *testing.T) {
	for _, row := range []struct{ why, file, good, bad string }{
		{"the gate's copy, of a later version", localFile, `{"returning":true,"retired":false,"incident":"inc-dc1-9","ever_served":true}`,
			`{"returning":true,"incident":"inc-dc1-9","ever_served":true,"unasked":"a_later_word"}`},
		{"the marks, cut short", marksFile, `{"cassandra":{"token":{"era":1,"rev":7},"effect":"inc-dc1-9.1.0","done":true}}`, `{"cassandra":`},
	} {
		t.Run(row.why, func(t *testing.T) {
			inRegion(t, incident.Auto, func(r *region) {
				path, other := filepath.Join(r.dir, "n3", row.file), filepath.Join(r.dir, "n3", localFile)
				r.halt("n3", true)
				put := func(path, text string) {
					if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				put(other, `{"returning":true,"incident":"inc-dc1-9","ever_served":true}`)
				put(path, row.bad)
				h := r.start("n3")
				h.announces("STATE_DIR_UNWRITABLE")
				r.wait("who it is", time.Minute, func() bool { return h.snapshot().World.Agents["n3"].Cassandra != nil })
				time.Sleep(20 * time.Second)
				if got, err := os.ReadFile(path); err != nil || string(got) != row.bad {
					t.Errorf("%s was written over: %s (%v)", row.file, got, err)
				}
				put(path, row.good)
				r.wait("the finding gone", 30*time.Second, func() bool { return !h.finds("STATE_DIR_UNWRITABLE") })
				local, err := r.nodes["n3"].disk.Local()
				if err != nil || !local.Returning || local.Incident != "inc-dc1-9" || !local.EverServed {
					t.Errorf("the gate's copy lost its word: %+v (%v)", local, err)
				}
			})
		})
	}
}

func TestAGateIsNotAnsweredFromACopyThatWasNeverRead(t *testing.T) {
	d := desktop(t)
	d.localRead = false
	if got := d.gate(0); got.Start != isolate.Wait || got.Rule != "state-unread" {
		t.Errorf("%+v", got)
	}
}
