// SPDX-License-Identifier: Apache-2.0

//go:build netns

package nft

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// until waits for what is to come, and tells how long that took.
func until(t *testing.T, what string, limit time.Duration, is func() bool) time.Duration {
	t.Helper()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		took := time.Since(began)
		switch {
		case is():
			return took
		case took > limit:
			t.Fatalf("after %s still not: %s", took, what)
		}
	}
}

// through asks again and again whether something stays as it is.
func through(t *testing.T, what string, span time.Duration, is func() bool) {
	t.Helper()
	for began := time.Now(); time.Since(began) < span; time.Sleep(20 * time.Millisecond) {
		if !is() {
			t.Fatalf("after %s no more: %s", time.Since(began), what)
		}
	}
}

func (h *host) refuses(from string) func() bool {
	return func() bool { return h.answers(from, nodeIP, cqlPort) == "refused" }
}

func (h *host) lets(from string) func() bool {
	return func() bool { return h.answers(from, nodeIP, cqlPort) == "answers" }
}

// brief is a lease for tests of the rules alone; a guard's is longer.
var brief = Lease{Ports: []uint16{cqlPort}, For: time.Second}

func (h *host) hold(how Hold) (err error) {
	h.in(func() { err = Kernel{}.Hold(how) })
	return err
}

func (h *host) leased(s State, l Lease, how Hold) (found []string, err error) {
	h.t.Helper()
	s, err = Canonical(s, ports)
	if err != nil {
		h.t.Fatal(err)
	}
	h.in(func() { found, err = Kernel{}.Apply(s, l, how) })
	return found, err
}

func (h *host) leases(s State, l Lease, how Hold) {
	h.t.Helper()
	if _, err := h.leased(s, l, how); err != nil {
		h.t.Fatalf("%v\n%s", err, h.run("nft", "list", "ruleset"))
	}
}

func TestALeaseThatEndsRefusesClients(t *testing.T) {
	t.Parallel()
	node, other := pair(t)
	node.listen(cqlPort)
	node.listen(storagePort)
	node.leases(State{}, brief, Kept)
	connected, connected6, own := other.connected(otherIP, nodeIP, cqlPort), other.connected("", nodeIP6, cqlPort), node.connected("", nodeIP, cqlPort)
	until(t, "the lease ends", answerMax, other.refuses(otherIP))
	want(t, "a driver that was connected", met(echoed(connected, answerMax)), "reset")
	want(t, "and one over IPv6", met(echoed(connected6, answerMax)), "reset")
	want(t, "a new one over IPv6", other.answers("", nodeIP6, cqlPort), "refused")
	want(t, "the agent's own probe that stands", met(echoed(own, answerMax)), "answers")
	want(t, "its new one", node.answers("", nodeIP, cqlPort), "answers")
	want(t, "another port", other.answers(otherIP, nodeIP, storagePort), "answers")
	if err := node.hold(Kept); !errors.Is(err, ErrEnded) {
		t.Errorf("what has ended is renewed: %v", err)
	}
	want(t, "renewed too late", other.answers(otherIP, nodeIP, cqlPort), "refused")
	if st := node.standing(); !st.Is(State{}) || st.Held || !st.Lease.Equal(brief) || st.From(State{}, brief) != nil {
		t.Errorf("there stands %+v", st)
	}
	if err := node.hold(Begun); err != nil {
		t.Fatal(err)
	}
	want(t, "begun", other.answers(otherIP, nodeIP, cqlPort), "answers")
	if err := node.hold(Kept); err != nil || !node.standing().Held {
		t.Errorf("begun, and not renewed: %v", err)
	}
	if err := node.hold(Ended); err != nil {
		t.Fatal(err)
	}
	want(t, "ended by its guard", other.answers(otherIP, nodeIP, cqlPort), "refused")
	if err := node.hold(Ended); err != nil {
		t.Errorf("ended twice: %v", err)
	}
}

// What is renewed lives on from the renewal, on every kernel.
func TestARenewalLengthens(t *testing.T) {
	t.Parallel()
	node, other := pair(t)
	node.listen(cqlPort)
	node.leases(State{}, brief, Kept)
	through(t, "a lease that is renewed", 3*brief.For, func() bool { return node.hold(Kept) == nil && other.lets(otherIP)() })
}

// A process that wakes up answers what it had read before, as with a client fence.
func TestALeaseThatEndedKeepsALateAnswer(t *testing.T) {
	t.Parallel()
	node, other := pair(t)
	lateAnswer(t, node, other, func() { node.leases(State{}, brief, Ended) })
}

// What else is wanted stands beside the lease, and who is allowed there is allowed.
func TestALeaseBesideAState(t *testing.T) {
	t.Parallel()
	node, other := pair(t)
	node.listen(cqlPort)
	friends := State{Clients: &Clients{Ports: []uint16{cqlPort}, Addresses: []netip.Addr{netip.MustParseAddr(nodeIP6)},
		Allowed: []netip.Prefix{netip.MustParsePrefix(friendIP + "/32")}}}
	node.leases(friends, brief, Kept)
	want(t, "an address that is not closed", other.answers(otherIP, nodeIP, cqlPort), "answers")
	want(t, "one that is", other.answers("", nodeIP6, cqlPort), "refused")
	node.leases(friends, brief, Ended) // it stands already, and nothing is done
	want(t, "a second time", other.answers(otherIP, nodeIP, cqlPort), "answers")
	until(t, "the lease ends", answerMax, other.refuses(otherIP))
	want(t, "who is allowed", other.answers(friendIP, nodeIP, cqlPort), "answers")

	if found, err := node.leased(both(), brief, Kept); !errors.Is(err, ErrEnded) || found == nil || !node.standing().Is(friends) {
		t.Errorf("another state keeps what has ended: %q, %v", found, err)
	}
	node.leases(both(), brief, Ended)
	if st := node.standing(); !st.Is(both()) || st.Held {
		t.Errorf("there stands %+v", st)
	}
	node.leases(State{}, brief, Begun)
	want(t, "the word and the state at once", other.answers(otherIP, nodeIP, cqlPort), "answers")
	once := node.run("nft", "-a", "list", "ruleset")
	if !strings.Contains(once, "tcp dport 9042 meta l4proto != @awake meta l4proto != @awake_too reject with tcp reset") || !strings.Contains(once, "elements = { tcp expires ") {
		t.Errorf("nft lists %s", once)
	}
	node.leases(both(), Lease{}, Ended)
	if st := node.standing(); !st.Is(both()) || !st.Lease.Off() {
		t.Errorf("without a lease stands %+v", st)
	}
}

// A lease is taken away with its rules, and what else stands keeps its handles.
func TestALeaseIsReleased(t *testing.T) {
	t.Parallel()
	node, other := pair(t)
	node.listen(cqlPort)
	release := func(alsoEnded bool) (released bool) {
		t.Helper()
		var err error
		node.in(func() { released, err = Kernel{}.Release(alsoEnded) })
		if err != nil {
			t.Fatal(err)
		}
		return released
	}
	if !release(false) {
		t.Error("nothing stands, and it is not released")
	}
	node.leases(both(), brief, Kept)
	if !release(false) {
		t.Error("a lease that runs is not released")
	}
	if st := node.standing(); !st.Is(both()) || !st.Lease.Off() {
		t.Errorf("there stands %+v", st)
	}
	if !release(false) {
		t.Error("it is not released twice")
	}
	node.leases(State{}, brief, Begun)
	until(t, "the lease ends", answerMax, other.refuses(otherIP))
	if release(false) {
		t.Error("a lease that has ended is released")
	}
	want(t, "after a standstill", other.answers(otherIP, nodeIP, cqlPort), "refused")
	if !release(true) {
		t.Error("it is not released by a person")
	}
	if st := node.standing(); st.there {
		t.Errorf("there stands %+v", st)
	}
	want(t, "released", other.answers(otherIP, nodeIP, cqlPort), "answers")

	// A hand's rule is no reason to close, nor one that asks the set too.
	for _, hand := range []string{"counter", `tcp dport 9042 counter meta l4proto != @awake reject with tcp reset comment "` + whyLease + `"`, "tcp dport 22 counter meta l4proto != @awake drop"} {
		node.leases(State{}, brief, Begun)
		node.run("nft", "insert rule inet "+TableName+" incoming "+hand)
		if !release(false) {
			t.Errorf("%s keeps the lease", hand)
		}
		through(t, "open beside "+hand, brief.For+quick, other.lets(otherIP))
	}
}

func TestWhatAHandDidToALease(t *testing.T) {
	t.Parallel()
	node, _ := pair(t)
	l := Lease{Ports: brief.Ports, For: time.Minute}
	node.leases(both(), l, Kept)
	table := "inet " + TableName
	for _, r := range []struct{ why, nft, told string }{
		{"an element more", "add element " + table + " awake { udp }", "set awake: not ours [17]"},
		{"rules are gone", "flush chain " + table + " incoming", "chain incoming: missing loopback accept"},
		{"another rule asks the set", "add rule " + table + " incoming tcp dport 22 meta l4proto != @awake meta l4proto != @awake_too reject with tcp reset", "not ours near port 22 unless awake reset"},
		{"the rule asks whether it is there", "add rule " + table + " incoming tcp dport 9042 meta l4proto @awake reject with tcp reset", "says more or less than one of ours"},
		{"another time", "delete table " + table + "; add table " + table + "; add chain " + table + " " + mark(both()) + "; add set " + table +
			" awake { type inet_proto; flags timeout; timeout 30s; }", "set awake: its elements last 30s, not 1m0s"},
		{"one set alone", "delete table " + table + "; add table " + table + "; add chain " + table + " " + mark(both()) + "; add set " + table +
			" awake_too { type inet_proto; flags timeout; timeout 1m; }", "set awake_too stands alone"},
		{"a rule asks one set", "add rule " + table + " incoming tcp dport 9042 meta l4proto != @awake reject with tcp reset", "says more or less than one of ours"},
		{"another type", "delete table " + table + "; add table " + table + "; add chain " + table + " " + mark(both()) + "; add set " + table +
			" awake { type inet_service; flags timeout; timeout 1m; }", "set awake is none of ours"},
	} {
		t.Run(r.why, func(t *testing.T) {
			node.run("nft", r.nft)
			found, err := node.leased(both(), l, Begun)
			if err != nil || !strings.Contains(strings.Join(found, "\n"), r.told) {
				t.Errorf("found %q, %v, want %q", found, err, r.told)
			}
			if st := node.standing(); st.From(both(), l) != nil || !st.Held {
				t.Errorf("put right, and there stands %+v", st)
			}
		})
	}
	node.run("nft", "flush set "+table+" awake")
	if err := node.hold(Kept); !errors.Is(err, ErrEnded) {
		t.Errorf("one set emptied, and %v", err)
	}
	node.run("nft", "flush set "+table+" awake_too")
	if st := node.standing(); st.Held || st.From(both(), l) != nil {
		t.Errorf("emptied, and there stands %+v", st)
	}
	if err := node.hold(Kept); !errors.Is(err, ErrEnded) {
		t.Errorf("emptied, and %v", err)
	}
	node.run("nft", "delete table "+table)
	if err := node.hold(Kept); !errors.Is(err, ErrNoLease) {
		t.Errorf("no table, and %v", err)
	}
}

// standstill is the shortest lease that a guard holds.
const standstill = leaseMin

func (u *unit) signal(s syscall.Signal) {
	u.t.Helper()
	if err := u.cmd.Process.Signal(s); err != nil {
		u.t.Fatal(err)
	}
}

// look is what the guard answers now; a guard that stands answers nothing.
func (u *unit) look() Report {
	u.t.Helper()
	r, err := u.client.Standing(context.Background())
	if err != nil {
		u.t.Fatalf("%v: %s", err, u.said())
	}
	return r
}

// stopped ends the guard as its unit does, and what the unit runs then.
func (u *unit) stopped(s syscall.Signal, result string) (said string) {
	u.t.Helper()
	u.signal(s)
	_ = u.cmd.Wait()
	return u.release(result)
}

func (u *unit) release(result string) string {
	u.t.Helper()
	cmd := exec.Command("setpriv", "--bounding-set", "-all,+net_admin", "--no-new-privs", u.program, "port-guard", "release")
	if cmd.Env = os.Environ(); result != "" {
		cmd.Env = append(cmd.Env, "SERVICE_RESULT="+result)
	}
	var out []byte
	var err error
	u.h.in(func() { out, err = cmd.CombinedOutput() })
	if err != nil {
		u.t.Fatalf("release: %v: %s", err, out)
	}
	return string(out)
}

// guarded is a node whose guard holds a lease, and its neighbour.
func guarded(t *testing.T, more ...string) (u *unit, node, other *host) {
	t.Helper()
	node, other = pair(t)
	node.listen(cqlPort)
	u = newUnit(t, node)
	u.start(append([]string{"--standstill", standstill.String()}, more...)...)
	return u, node, other
}

// freeze stops the guard until the kernel has closed, and lets it go on.
func (u *unit) freeze(other *host) {
	u.t.Helper()
	u.signal(syscall.SIGSTOP)
	if took := until(u.t, "the lease ends", standstill+answerMax, other.refuses(otherIP)); took < standstill-renewEvery-time.Second {
		u.t.Errorf("it ended after %s", took)
	}
	u.signal(syscall.SIGCONT)
}

func TestAHostThatStoodStillWaitsForAWord(t *testing.T) {
	t.Parallel()
	u, _, other := guarded(t)
	if r := u.look(); r.StoodStill || !r.Stands || r.Lease == nil || !r.Lease.Held || r.Lease.ForMS != standstill.Milliseconds() {
		t.Errorf("at first: %+v", r)
	}
	connected := other.connected(otherIP, nodeIP, cqlPort)
	u.freeze(other)
	want(t, "a driver that was connected", met(echoed(connected, answerMax)), "reset")
	var r Report
	until(t, "the guard finds that it stood still", answerMax, func() bool { r = u.look(); return r.StoodStill })
	if s := r.Standstill; !r.Stands || r.Lease.Held || s == nil || s.Number == 0 || s.LastedMS < (standstill-renewEvery).Milliseconds() || s.UnaskedMS <= 0 {
		t.Errorf("it says %+v, %+v", r, r.Standstill)
	}
	until(t, "its journal says so", answerMax, func() bool { return strings.Contains(u.said(), "this host stood still") })
	if said, exit := u.run(0, "show", "--socket", u.client.Socket); exit != 0 || !strings.Contains(said, "this host stood still for 5") || !strings.Contains(said, "has ended: clients are refused") {
		t.Errorf("shown, with %d: %s", exit, said)
	}
	u.apply(State{Ring: both().Ring})
	if r := u.look(); !r.StoodStill || !r.Stands {
		t.Errorf("another state is wanted, by who has not read: %+v", r)
	}
	if _, err := u.client.Awake(context.Background(), State{}, r.Standstill.Number-1, "an old word"); !errors.Is(err, ErrRefused) {
		t.Errorf("a word about another standstill: %v", err)
	}
	through(t, "it renews nothing by itself", 2*renewEvery, other.refuses(otherIP))
	r, err := u.client.Awake(context.Background(), State{}, r.Standstill.Number, "read")
	if err != nil || r.StoodStill || !r.Lease.Held || r.Lease.Alone {
		t.Errorf("told that it is awake: %+v, %v", r, err)
	}
	want(t, "awake", other.answers(otherIP, nodeIP, cqlPort), "answers")
	through(t, "it renews again", standstill+renewEvery, other.lets(otherIP))
}

func TestAHostThatStoodStillAndHearsNothing(t *testing.T) {
	t.Parallel()
	u, _, other := guarded(t, "--unasked", "3s")
	u.freeze(other)
	if took := until(t, "it opens unasked", 3*time.Second+answerMax, other.lets(otherIP)); took < 2*time.Second {
		t.Errorf("it opened after %s", took)
	}
	if r := u.look(); r.StoodStill || !r.Lease.Alone {
		t.Errorf("it says %+v", r)
	}
	until(t, "its journal says so", answerMax, func() bool { return strings.Contains(u.said(), "NOBODY SAID THAT THIS HOST IS AWAKE") })
}

// A person is heard as the agent is, and knows no number.
func TestAPersonLiftsAfterAStandstill(t *testing.T) {
	t.Parallel()
	u, _, other := guarded(t)
	u.freeze(other)
	if said, exit := u.run(agents, "lift", "--reason", "I have looked", "--socket", u.client.Socket); exit != 0 || !strings.Contains(said, "lease against a standstill: 5s, runs") {
		t.Errorf("lift ends with %d: %s", exit, said)
	}
	want(t, "lifted", other.answers(otherIP, nodeIP, cqlPort), "answers")
}

// A host that is well notices nothing of all this, also while states change.
func TestAHealthyHostIsNeverClosed(t *testing.T) {
	t.Parallel()
	u, node, other := guarded(t)
	stands := other.connected(otherIP, nodeIP, cqlPort)
	i := 0
	through(t, "a connection that stands, and a new one", 2*standstill+renewEvery, func() bool {
		if i++; i%20 == 0 {
			u.apply([]State{{Ring: both().Ring}, {}}[i/20%2])
		}
		if i == 70 {
			node.run("nft", "flush ruleset") // a site's reload
		}
		return echoed(stands, answerMax) == nil && other.lets(otherIP)()
	})
	until(t, "the lease stands again", answerMax, func() bool { r := u.look(); return r.Stands && r.Lease != nil && r.Lease.Held })
}

// However a guard ends, the port stays open past the lease.
func TestTheEndOfAGuardClosesNothing(t *testing.T) {
	for _, end := range []struct {
		signal syscall.Signal
		result string
	}{{syscall.SIGKILL, "signal"}, {syscall.SIGABRT, "watchdog"}, {syscall.SIGTERM, "success"}} {
		t.Run(end.signal.String(), func(t *testing.T) {
			t.Parallel()
			u, node, other := guarded(t)
			stands := other.connected(otherIP, nodeIP, cqlPort)
			if said := u.stopped(end.signal, end.result); said != "" {
				t.Errorf("released: %s", said)
			}
			through(t, "open past the lease", standstill+2*renewEvery, func() bool { return echoed(stands, answerMax) == nil && other.lets(otherIP)() })
			if st := node.standing(); st.there {
				t.Errorf("there stands %+v", st)
			}
		})
	}
}

// A guard that ends by itself, and is told to, takes its lease away even where
// nothing is run after it; a fence stays.
func TestACleanEndTakesTheLeaseAway(t *testing.T) {
	t.Parallel()
	u, node, _ := guarded(t)
	u.apply(both())
	u.signal(syscall.SIGTERM)
	if err := u.cmd.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	if st := node.standing(); !st.Is(both()) || !st.Lease.Off() {
		t.Errorf("there stands %+v", st)
	}
}

// Guard and systemd stood still, and systemd, which goes on too, kills the guard
// for it: the port stays closed until the next guard hears a word.
func TestAGuardThatIsKilledForAStandstill(t *testing.T) {
	t.Parallel()
	u, _, other := guarded(t)
	u.signal(syscall.SIGSTOP)
	until(t, "the lease ends", standstill+answerMax, other.refuses(otherIP))
	if said := u.stopped(syscall.SIGKILL, "watchdog"); !strings.Contains(said, "stays closed") {
		t.Errorf("released: %s", said)
	}
	want(t, "before the next guard", other.answers(otherIP, nodeIP, cqlPort), "refused")
	u.start("--standstill", standstill.String())
	r := u.look()
	if !r.StoodStill || r.Lease.Held || r.Standstill.LastedMS != 0 {
		t.Errorf("the next guard says %+v, %+v", r, r.Standstill)
	}
	want(t, "the next guard", other.answers(otherIP, nodeIP, cqlPort), "refused")
	if _, err := u.client.Awake(context.Background(), State{}, r.Standstill.Number, "read"); err != nil {
		t.Error(err)
	}
	want(t, "awake", other.answers(otherIP, nodeIP, cqlPort), "answers")

	// A person on the host, without any guard.
	u.freeze(other)
	u.signal(syscall.SIGKILL)
	_ = u.cmd.Wait()
	if said := u.release(""); said != "" {
		t.Errorf("by hand: %s", said)
	}
	want(t, "released by hand", other.answers(otherIP, nodeIP, cqlPort), "answers")
}
