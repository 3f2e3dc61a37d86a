// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
	"supervisor/repair"
	"supervisor/residency"
)

// bigJob is a plan of that many segments, one range each.
func bigJob(segments int) repair.Job {
	var j repair.Job
	noise := rand.New(rand.NewPCG(1, 2))
	tokens := make([]int64, segments+1)
	for i := range tokens {
		tokens[i] = int64(noise.Uint64())
	}
	slices.Sort(tokens)
	for i := range segments {
		j.Segments = append(j.Segments, repair.Segment{Keyspace: "orders", Ranges: []cluster.TokenRange{{Start: tokens[i], End: tokens[i+1]}},
			Hosts: []cluster.Name{"n3", cluster.Name(fmt.Sprintf("n%d", 1+i%2))}})
	}
	return j
}

// repairs puts a record whose repair is under way, as an earlier program wrote it,
// with the order of its first segment settled.
func (b *bench) repairs(j repair.Job) {
	b.t.Helper()
	r := incident.Record{Schema: incident.SchemaNow, ID: "inc-dc1-1", Node: "n3", Datacenter: "dc1", Region: "eu", Phase: incident.Returning,
		Step: 4, Began: time.Unix(3600, 0), Return: &incident.Return{Step: incident.Repairing, Tries: 1, Process: "p-n3"}}
	r.Pending = []incident.Effect{{ID: "inc-dc1-1.4.0", Limit: time.Minute,
		Once: &incident.Once{Agent: "n3", Verb: incident.VerbRepair, Target: "n3", Segments: j.Segments[:1]}}}
	text, err := json.Marshal(r)
	if err != nil {
		b.t.Fatal(err)
	}
	job, err := json.Marshal(map[string]any{"segments": j.Segments, "done": ""})
	if err != nil {
		b.t.Fatal(err)
	}
	b.put(store.Record(r.ID), json.RawMessage(strings.Replace(string(text), `"return":{`, `"return":{"job":`+string(job)+`,`, 1)))
	b.put(store.Open("n3"), r.ID)
	b.settle(r.Pending[0])
}

// settle has an order end well.
func (b *bench) settle(e incident.Effect) {
	b.t.Helper()
	b.put(store.Order("n3", e.ID), incident.Order{Effect: e, Incident: "inc-dc1-1", State: incident.Settled, Outcome: incident.Done,
		Result: incident.Result{Done: []int{e.Once.First}}})
}

// peersLive gives the leader a ring in which its peers may be compared with.
func (b *bench) peersLive() {
	s := cluster.Schema{Keyspaces: []cluster.Keyspace{{Name: "orders", Replication: cluster.Replication{
		Strategy: cluster.NetworkTopology, Factors: map[cluster.Datacenter]int{"dc1": 3}}}}}
	for i, n := range []cluster.Name{"n1", "n2", "n3"} {
		s.Members = append(s.Members, cluster.Member{Name: n, HostID: cluster.HostID("id-" + n), Datacenter: "dc1", Rack: cluster.Rack(fmt.Sprint("r", i)), Tokens: []int64{int64(i)}})
	}
	p := incident.DefaultPolicy()
	p.Version, p.Modes["dc1"], p.Regions["eu"] = 2, incident.Auto, []cluster.Datacenter{"dc1"}
	p.Residency = residency.Open([]cluster.Region{"eu"})
	b.put(store.Policy, p)
	for _, m := range s.Members {
		b.put(store.Agent(m.Name), incident.Agent{Load: &repair.Load{Reading: 1, Free: 500, Total: 1000}})
	}
	b.relist()
	b.turn(Schemed{Schema: s})
}

// goesOn writes what is decided, until nothing is, and returns the largest record
// and the number of plans that were put.
func (b *bench) goesOn(out Out) (largest, plans int) {
	b.t.Helper()
	for n := 0; len(out.Commits) > 0; n++ {
		if n > 9 {
			b.t.Fatal("it is decided again and again")
		}
		for _, p := range out.Commits[0].Txn.Put {
			switch {
			case strings.HasPrefix(p.Key, store.Works):
				plans++
			case strings.HasPrefix(p.Key, store.Incidents):
				largest = max(largest, len(p.Value))
			}
		}
		out = b.write(out)
	}
	return largest, plans
}

func (b *bench) known() incident.Record { return b.s.Picture.Records["inc-dc1-1"].Value }

func TestALargePlanIsWrittenOnceAndItsProgressIsSmall(t *testing.T) {
	const segments = 22_000
	b := newBench(t)
	b.peersLive()
	b.repairs(bigJob(segments))
	b.relist()
	largest, plans := b.goesOn(b.see(false))
	if plans != 1 || b.count(store.Works) != 1 || largest > 4<<10 {
		t.Fatalf("%d plans put, %d stand, a record of %d bytes", plans, b.count(store.Works), largest)
	}
	kvs, _ := b.store.List(store.Works)
	if len(kvs[0].Value) > 400_000 {
		t.Errorf("the plan is %d bytes", len(kvs[0].Value))
	}
	for range 3 {
		b.settle(b.known().Pending[0])
		if largest, plans = b.goesOn(b.relist()); plans != 0 || largest == 0 || largest > 4<<10 {
			t.Errorf("%d plans put again, a record of %d bytes", plans, largest)
		}
	}
	b.heir("n2")
	b.goesOn(b.see(false))
	job := b.known().Return.Job
	if done, total := job.Progress(); done != 4 || total != segments || job.Lost() || job.Batch(1)[0] != 4 {
		t.Errorf("the heir goes on after %d of %d, lost %v", done, total, job.Lost())
	}
	b.settle(b.known().Pending[0])
	b.goesOn(b.relist())
	if done, _ := b.known().Return.Job.Progress(); done != 5 {
		t.Errorf("the heir has %d segments done, want 5", done)
	}
}

func TestAPlanThatCannotBeReadIsToldAndMadeAnew(t *testing.T) {
	for _, row := range []struct {
		why   string
		spoil func(*bench, string)
		told  bool
	}{
		{"of a later program", func(b *bench, key string) { b.put(key, "CQAA") }, true},
		{"of another job", func(b *bench, key string) { b.put(key, repair.Segments(bigJob(7).Segments)) }, false},
		{"taken away", func(b *bench, key string) {
			if _, err := b.store.Commit(b.lease, store.Txn{Delete: []string{key}}); err != nil {
				b.t.Fatal(err)
			}
		}, false},
	} {
		t.Run(row.why, func(t *testing.T) {
			b := newBench(t)
			b.peersLive()
			b.repairs(bigJob(500))
			b.relist()
			b.goesOn(b.see(false))
			kvs, _ := b.store.List(store.Works)
			key := kvs[0].Key
			row.spoil(b, key)
			b.heir("n2")
			if told := slices.Contains(b.s.Picture.Unread(), key); told != row.told {
				t.Errorf("told as unread: %v, want %v", told, row.told)
			}
			b.peersLive()
			if job := b.known().Return.Job; !job.Lost() || job.Complete() {
				t.Fatalf("the job is taken for one that can be gone on with: %+v", job)
			}
			b.settle(b.known().Pending[0])
			b.relist()
			b.goesOn(b.see(false))
			b.now = b.now.Add(time.Minute)
			b.goesOn(b.see(false))
			job := b.known().Return.Job
			if job == nil || job.Lost() || len(job.Segments) != 1 || b.count(store.Works) != 0 {
				t.Errorf("planned anew: %+v, %d plans left; %s %s %s", job, b.count(store.Works), b.known().Phase, b.known().Held, b.known().Waits)
			}
			if len(b.s.Picture.Unread()) > 0 {
				t.Errorf("still cannot be read: %v", b.s.Picture.Unread())
			}
		})
	}
}

// What is of a datacenter without hosts, or of a record that cannot be read, stays.
func TestAPlanGoesAfterItsIncident(t *testing.T) {
	b := newBench(t)
	for _, key := range []string{store.Work("inc-dc1-1", "of-nobody"), store.Work("inc-dc2-1", "of-another"),
		store.Work("inc-dc1-x-1", "of-dc1-x"), store.Work("inc-dc1-9", "of-a-strange")} {
		b.put(key, repair.Segments(bigJob(3).Segments))
	}
	b.put(store.Record("inc-dc1-9"), []string{"of a later program"})
	b.relist()
	b.goesOn(b.see(false))
	kvs, _ := b.store.List(store.Works)
	var left []string
	for _, kv := range kvs {
		left = append(left, kv.Key)
	}
	if want := []string{"work/inc-dc1-9/of-a-strange", "work/inc-dc1-x-1/of-dc1-x", "work/inc-dc2-1/of-another"}; !slices.Equal(left, want) {
		t.Errorf("left %v, want %v", left, want)
	}
}
