// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"supervisor/incident"
	"supervisor/internal/store"
	"supervisor/isolate"
)

// Each region leads its own nodes by its own store; the other one's words count, and
// nobody writes to the other one's store.
func TestTwoRegionsReturnANodeTogether(t *testing.T) {
	inRegions(t, true, func(eu, us *region) {
		eu.crash("n3")
		us.wait("the other region says how it sees the sleeper", time.Minute, func() bool {
			said := us.sights("n3")
			return len(said) == 3 && said["b1"].Sight == isolate.Down && said["b1"].Token.Rev > 0
		})
		if !eu.awaitClosed(1, 3*time.Minute) {
			return
		}
		if eu.count("b1 is repaired with") == 0 {
			t.Error("copies of the other region were not compared with")
		}
		if us.touchedSoFar() > 0 || len(us.store.list(store.Incidents)) > 0 {
			t.Error("the other region did something about it")
		}
		us.wait("its words are taken back", time.Minute, func() bool { return len(us.sights("n3")) == 0 })
		if who := fmt.Sprint(us.wrote(), eu.wrote()); who != "[b1 b2 b3] [n1 n2 n3]" {
			t.Errorf("wrote to the stores of us and eu: %s", who)
		}
	})
}

// A region that is cut off goes on with its own nodes: it starts one that died, and
// returns it where its data needs nobody of the other region.
func TestARegionThatIsCutOffReturnsItsOwnNode(t *testing.T) {
	inRegions(t, false, func(eu, us *region) {
		us.part(true)
		for _, r := range []*region{eu, us} {
			r.wait("the other region is out of reach of "+string(r.is), 2*time.Minute, func() bool { return r.lostAll() })
			if !r.leader().finds("REGION_UNREAD") {
				t.Errorf("%s does not say that it does not read the other region", r.is)
			}
		}
		us.crash("b3")
		if !us.awaitClosed(1, 3*time.Minute) {
			return
		}
		if eu.touchedSoFar() > 0 || len(eu.store.list(store.Fences)) > 0 || len(eu.store.list(store.Opens)) > 0 || len(eu.closed()) > 0 {
			t.Error("the other region fenced somebody, or opened an incident")
		}
		us.part(false)
		for _, r := range []*region{eu, us} {
			r.wait("they hear each other again", time.Minute, r.hearsAll)
			r.wait("and nobody misses the other one any more", time.Minute, func() bool { return !r.leader().finds("REGION_UNREAD") })
		}
	})
}

// lostAll tells whether the leader counts the whole other region as out of reach.
func (r *region) lostAll() bool {
	w := r.leader().snapshot().World
	for _, n := range r.far.names {
		if !w.Abroad[n].Lost {
			return false
		}
	}
	return true
}

// Where data has copies in the other region, the return is done up to the repair.
func TestASleeperWaitsForTheCopiesOfTheOtherRegion(t *testing.T) {
	inRegions(t, true, func(eu, us *region) {
		us.part(true)
		us.wait("the other region is out of reach", 2*time.Minute, us.lostAll)
		us.crash("b3")
		us.wait("it hibernates and waits", time.Minute, func() bool {
			rec, open := us.open()
			return open && rec.Phase == incident.Returning && rec.Return.Step == incident.AwaitDown && rec.Waits == incident.RuleRepairQuorum
		})
		us.part(false)
		us.awaitClosed(1, 5*time.Minute)
		if us.count("n1 is repaired with") == 0 {
			t.Error("copies of the other region were not compared with")
		}
	})
}

// The store of the other region is silent while its Cassandras go on: they may read
// the sleeper, so its return waits for their word.
func TestASleeperWaitsForTheWordOfWhoMayReadIt(t *testing.T) {
	inRegions(t, false, func(eu, us *region) {
		us.line.mute.Store(true)
		us.crash("b3")
		us.wait("it is held, asleep, for their word", 4*time.Minute, func() bool {
			rec, open := us.open()
			return open && rec.Phase == incident.Held && rec.Return.Step == incident.AwaitDown &&
				strings.Contains(rec.Held, "n1, n2, n3 (the store of region eu does not answer here)")
		})
		us.line.mute.Store(false)
		us.awaitClosed(1, 3*time.Minute)
	})
}

// An own store that is lost keeps nobody from reading the other one, and the other
// way round; a desk goes on with both.
func TestAnotherRegionsStoreDelaysNothing(t *testing.T) {
	inRegions(t, false, func(eu, us *region) {
		us.store.outage(3 * time.Minute)
		time.Sleep(20 * time.Second)
		eu.wait("it is told that the other store is silent", time.Minute, func() bool { return eu.leader().finds("REGION_UNREAD") })
		detail := ""
		for _, f := range eu.leader().snapshot().Findings {
			if f.Code == "REGION_UNREAD" {
				detail = f.Sentence
			}
		}
		if !strings.Contains(detail, "region us since 2") || !strings.Contains(detail, errStore.Error()) {
			t.Errorf("it says %q", detail)
		}
		time.Sleep(3 * time.Minute)
		us.wait("it leads again", time.Minute, func() bool { return us.leader() != nil && us.settled() })
		eu.wait("it is read again", time.Minute, eu.hearsAll)
	})
}

// A host of one name in both regions: neither word is taken for the other's.
func TestANameInBothRegionsIsNobodysWord(t *testing.T) {
	inRegions(t, false, func(eu, us *region) {
		kv, _ := us.store.get(store.Host("b1"))
		us.store.put(store.Host("n1"), kv.Value)
		eu.wait("it is told", time.Minute, func() bool { return eu.leader().finds("REGION_UNREAD") })
		if w := eu.leader().snapshot().World; w.Abroad["b1"].Told || w.Abroad["b1"].Heard {
			t.Error("its words count")
		}
	})
}
