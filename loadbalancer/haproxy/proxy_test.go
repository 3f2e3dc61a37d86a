// SPDX-License-Identifier: Apache-2.0

package haproxy_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/loadbalancer"
	"supervisor/loadbalancer/haproxy"
)

const (
	ready = loadbalancer.Ready
	drain = loadbalancer.Drain
	maint = loadbalancer.Maint
)

func TestWantedPoolIsReached(t *testing.T) {
	b := start(t, nil)
	want := loadbalancer.Declared{Name: "cql", Members: []cluster.Name{"n1", "n2", "n3"}}.Pool(loadbalancer.Pool{})
	all := func(cluster.Name) loadbalancer.Sign { return loadbalancer.Answers }
	for _, address := range []string{b.admin, b.tcp} {
		p := b.proxy(t, address)
		for _, w := range []loadbalancer.Wish{{Want: drain}, {Want: maint}, {Want: ready, Weight: 10}, loadbalancer.Full} {
			var err error
			if want, err = loadbalancer.Take(want, []cluster.Name{"n3"}, w, all); err != nil {
				t.Fatal(err)
			}
			before, err := p.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if loadbalancer.InStep(want, before) {
				t.Fatalf("%s: in step before anything was done: %+v", w, before)
			}
			if err := p.Apply(t.Context(), loadbalancer.Difference(want, before).Changes); err != nil {
				t.Fatal(err)
			}
			after, err := p.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if d := loadbalancer.Difference(want, after); !d.InStep() || d.Foreign != nil {
				t.Errorf("%s: not in step: %+v", w, d)
			}
		}
	}
}

func TestDrainSendsNoNewClientsAndKeepsTheOld(t *testing.T) {
	b := start(t, nil)
	p := b.proxy(t, b.admin)
	seen := map[string]int{}
	for range 6 {
		_, name := b.client(t)
		seen[name]++
	}
	if seen["n3"] == 0 || look(t, p, "n3").Sessions != seen["n3"] {
		t.Fatalf("clients went to %v, n3 says %d", seen, look(t, p, "n3").Sessions)
	}
	if err := p.Apply(t.Context(), []loadbalancer.Change{to("n3", drain, 0)}); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, name := b.client(t); name == "n3" {
			t.Fatal("a drained server got a new client")
		}
	}
	if got := look(t, p, "n3"); got.Sessions != seen["n3"] || got.Want != drain {
		t.Errorf("after the drain n3 is %+v, want %d sessions", got, seen["n3"])
	}
	if err := p.Apply(t.Context(), []loadbalancer.Change{to("n3", ready, 10)}); err != nil {
		t.Fatal(err)
	}
	back := 0
	for range 42 {
		if _, name := b.client(t); name == "n3" {
			back++
		}
	}
	if back < 1 || back > 4 {
		t.Errorf("at 10 %% n3 got %d of 42 new clients, want about 2", back)
	}
}

// TestCheckOfADrainedServer is what the whole of drain rests on: the check goes
// on, a DOWN server is shown as drained, and ready is not up.
func TestCheckOfADrainedServer(t *testing.T) {
	b := start(t, map[string]string{"n2": "weight 100"})
	p := b.proxy(t, b.admin)
	until(t, "n3 is up", func() bool { a := look(t, p, "n3"); return a.Up && a.CheckKnown })
	if a := look(t, p, "n2"); !a.Up || a.CheckKnown {
		t.Errorf("a server without a check is %+v: nothing is known of it", a)
	}
	b.nodes["n3"].stop()
	until(t, "n3 is down", func() bool { return !look(t, p, "n3").Up })
	apply := func(w loadbalancer.Want) {
		if err := p.Apply(t.Context(), []loadbalancer.Change{to("n3", w, 100)}); err != nil {
			t.Fatal(err)
		}
	}
	apply(drain)
	if a := look(t, p, "n3"); a.Want != drain || a.Up || !a.CheckKnown {
		t.Errorf("drained while down: %+v", a)
	}
	apply(ready)
	if a := look(t, p, "n3"); a.Want != ready || a.Up {
		t.Errorf("ready while down: %+v", a)
	}
	apply(drain)
	b.nodes["n3"].start(t)
	until(t, "n3's check sees it while drained", func() bool { return look(t, p, "n3").Up })
	if a := look(t, p, "n3"); a.Want != drain {
		t.Errorf("a check that passes ended the drain: %+v", a)
	}
	apply(maint)
	if a := look(t, p, "n3"); a.Want != maint || a.CheckKnown || a.Up {
		t.Errorf("in maintenance: %+v", a)
	}
	apply(ready)
	until(t, "n3's check is back", func() bool { a := look(t, p, "n3"); return a.Up && a.CheckKnown && a.Want == ready })
}

func TestCheckSwitchedOffByHandSaysNothing(t *testing.T) {
	b := start(t, nil)
	p := b.proxy(t, b.admin)
	until(t, "n3 is checked", func() bool { return look(t, p, "n3").CheckKnown })
	b.say(t, "disable health cql/n3")
	if a := look(t, p, "n3"); a.CheckKnown {
		t.Errorf("its last result is taken for a look: %+v", a)
	}
	b.say(t, "enable health cql/n3")
	until(t, "n3 is checked again", func() bool { return look(t, p, "n3").CheckKnown })
}

func TestServerDisabledInTheConfiguration(t *testing.T) {
	b := start(t, map[string]string{"n3": "weight 100 check disabled"})
	p := b.proxy(t, b.admin)
	if a := look(t, p, "n3"); a.Want != maint {
		t.Errorf("disabled in the configuration: %+v", a)
	}
	if err := p.Apply(t.Context(), []loadbalancer.Change{to("n3", ready, 100)}); err != nil {
		t.Fatal(err)
	}
	if a := look(t, p, "n3"); a.Want != ready {
		t.Errorf("the mark of the configuration stays, and must not count: %+v", a)
	}
}

func TestRestartedProxyIsSeenToHaveForgotten(t *testing.T) {
	b := start(t, nil)
	p := b.proxy(t, b.admin)
	want := loadbalancer.Declared{Name: "cql", Members: []cluster.Name{"n1", "n2", "n3"}}.Pool(loadbalancer.Pool{})
	want.Wants["n3"] = loadbalancer.Wish{Want: drain}
	if err := p.Apply(t.Context(), []loadbalancer.Change{to("n3", drain, 0)}); err != nil {
		t.Fatal(err)
	}
	b.kill()
	if _, err := p.Read(t.Context()); err == nil {
		t.Fatal("a killed proxy answers")
	}
	b.run(t)
	now, err := p.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := loadbalancer.Difference(want, now); len(d.Changes) != 1 || d.Changes[0].String() != "n3 ready 100 % -> drain" {
		t.Errorf("after a restart: %+v", d)
	}
}

func TestWeightsAreReadAsTheyWereWished(t *testing.T) {
	b := start(t, map[string]string{"n1": "weight 1", "n2": "weight 15", "n3": "weight 256"})
	p := b.proxy(t, b.admin)
	want := loadbalancer.Declared{Name: "cql", Members: []cluster.Name{"n1", "n2", "n3"}}.Pool(loadbalancer.Pool{})
	for _, weight := range []int{1, 7, 10, 33, 99, 100} {
		for n := range want.Wants {
			want.Wants[n] = loadbalancer.Wish{Want: ready, Weight: weight}
		}
		before, err := p.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Apply(t.Context(), loadbalancer.Difference(want, before).Changes); err != nil {
			t.Fatal(err)
		}
		after, err := p.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if d := loadbalancer.Difference(want, after); !d.InStep() {
			t.Errorf("at %d %%: %v", weight, d.Changes)
		}
		for _, a := range after {
			if a.Weight == 0 {
				t.Errorf("at %d %%: %s gets no clients", weight, a.Server)
			}
		}
	}
}

func TestRefusalsNameTheirCommand(t *testing.T) {
	b := start(t, nil)
	err := b.proxy(t, b.admin).Apply(t.Context(), []loadbalancer.Change{
		to("n1", drain, 0), to("zz", drain, 0), to("n2", ready, 50), to("yy", ready, 10)})
	want := []string{
		`proxy proxy-1 refuses "set server cql/zz state drain": No such server.`,
		`proxy proxy-1 refuses "set server cql/yy weight 10%": No such server.`,
		`proxy proxy-1 refuses "set server cql/yy state ready": No such server.`,
	}
	if err == nil || err.Error() != strings.Join(want, "\n") {
		t.Errorf("got %v", err)
	}
	p := b.proxy(t, b.admin)
	if a, c := look(t, p, "n1"), look(t, p, "n2"); a.Want != drain || c.Weight != 50 {
		t.Errorf("the others were not done: %+v %+v", a, c)
	}
}

func TestSocketWithoutTheRightToChange(t *testing.T) {
	b := start(t, nil)
	p := b.proxy(t, b.user)
	err := p.Apply(t.Context(), []loadbalancer.Change{to("n1", drain, 0)})
	if no, is := errors.AsType[haproxy.Refused](err); !is || no.Answer != "Permission denied" {
		t.Errorf("got %v", err)
	}
	if a := look(t, p, "n1"); a.Want != ready {
		t.Errorf("and yet n1 is %+v", a)
	}
}

func TestBackendTheProxyDoesNotKnow(t *testing.T) {
	b := start(t, nil)
	p, err := haproxy.New(haproxy.Options{Name: "proxy-1", Address: b.admin, Backend: "nope", Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Read(t.Context())
	if no, is := errors.AsType[haproxy.Refused](err); !is || no.Answer != "Can't find backend." {
		t.Errorf("read: %v", err)
	}
	err = p.Apply(t.Context(), []loadbalancer.Change{to("n1", drain, 0)})
	if no, is := errors.AsType[haproxy.Refused](err); !is || no.Answer != "No such backend." {
		t.Errorf("apply: %v", err)
	}
}

func TestBalanceThatKnowsNoWeights(t *testing.T) {
	b := start(t, nil, "  balance static-rr")
	p := b.proxy(t, b.admin)
	err := p.Apply(t.Context(), []loadbalancer.Change{to("n1", ready, 10)})
	if no, is := errors.AsType[haproxy.Refused](err); !is || !strings.Contains(no.Command, "weight 10%") {
		t.Errorf("got %v", err)
	}
	if err := p.Apply(t.Context(), []loadbalancer.Change{to("n1", drain, 0), to("n2", ready, 100)}); err != nil {
		t.Errorf("drain and full weight need no weights: %v", err)
	}
}

// TestManyServers needs more than one line, and a long answer.
func TestManyServers(t *testing.T) {
	var lines []string
	var changes []loadbalancer.Change
	for i := range 400 {
		name := fmt.Sprintf("a-rather-long-name-of-a-host-%03d.example", i)
		lines = append(lines, "  server "+name+" 127.0.77.1:9 weight 100")
		changes = append(changes, to(cluster.Name(name), ready, 10), to(cluster.Name(name), drain, 0))
	}
	b := start(t, nil, lines...)
	p := b.proxy(t, b.admin)
	if err := p.Apply(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	all, err := p.Read(t.Context())
	if err != nil || len(all) != 403 {
		t.Fatalf("%d servers, %v", len(all), err)
	}
	for _, a := range all[3:] {
		if a.Want != drain || a.Weight != 10 {
			t.Fatalf("%+v", a)
		}
	}
}

func TestStoppedProxyIsUnreachableInTime(t *testing.T) {
	b := start(t, nil)
	if err := syscall.Kill(b.pid, syscall.SIGSTOP); err != nil { // the cleanup's SIGKILL ends a stopped process too
		t.Fatal(err)
	}
	p, err := haproxy.New(haproxy.Options{Name: "proxy-1", Address: b.admin, Backend: "cql", Timeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the stopped proxy is unreachable", func() bool { // SIGSTOP reaches its threads one by one
		began := time.Now()
		_, err := p.Read(t.Context())
		if took := time.Since(began); took > 5*time.Second {
			t.Fatalf("it took %v to say %v", took, err)
		}
		_, is := errors.AsType[haproxy.Unreachable](err)
		return is
	})
}

func BenchmarkApplyAndRead(bm *testing.B) {
	b := start(bm, nil)
	p := b.proxy(bm, b.admin)
	wishes := [][]loadbalancer.Change{{to("n3", drain, 0)}, {to("n3", ready, 100)}}
	i := 0
	for bm.Loop() {
		if err := p.Apply(bm.Context(), wishes[i%2]); err != nil {
			bm.Fatal(err)
		}
		if _, err := p.Read(bm.Context()); err != nil {
			bm.Fatal(err)
		}
		i++
	}
}
