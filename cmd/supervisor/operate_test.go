// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/api/apitest"
)

func TestCommandsThatOrder(t *testing.T) {
	lost, leaderless := apitest.Blind(), apitest.Healthy()
	lost.Leader = "n1"
	leaderless.Leader = ""
	watched, held := apitest.Healthy(), apitest.Held()
	p := *watched.World.Policy
	p.Modes = map[cluster.Datacenter]incident.Mode{"dc1": incident.Observe}
	watched.World.Policy = &p
	for _, tt := range []struct {
		why  string
		at   api.Snapshot
		args string
		exit int
		says string // on stdout, or on stderr when it fails
	}{
		{"a pause of the region", apitest.Healthy(), "pause --for 2h --reason switch", 0, byTheClock().Times("pauses the region until 2026-11-22T05:02:00.000Z: switch\n  end it sooner: supervisor resume --reason")},
		{"a pause of a datacenter", apitest.Healthy(), "pause dc1 --reason switch", 0, "end it sooner: supervisor resume dc1 --reason"},
		{"a datacenter that does not exist", apitest.Healthy(), "pause dc9 --reason switch", 4, "DATACENTER_UNKNOWN, exit 4\n  did you mean dc1?"},
		{"a datacenter with an empty name is not the region", apitest.Healthy(), "pause  --reason switch", 2, "leave it out to mean the region"},
		{"a pause without an end", apitest.Healthy(), "pause --for 1000h --reason switch", 2, "from 1s to 168h"},
		{"no reason", apitest.Healthy(), "pause", 2, "--reason is missing"},
		{"the end of a pause", apitest.Paused(), "resume --reason done", 0, "ends the pause of the region by ana: done"},
		{"the end of a pause of which nobody knows", apitest.Healthy(), "resume --reason done", 3, "GUARD_FORBIDS, exit 3\n  rule paused. Nothing was done."},
		{"a fence that the quorum can spare", apitest.Healthy(), "fence n1 --yes --reason disk", 0, "After it every range still has 2 of 3, need 2"},
		{"one that it cannot", apitest.Returning(), "fence n1 --yes --reason disk", 3, "QUORUM_WOULD_BREAK, exit 3\n  rule quorum-survives. Nothing was done."},
		{"its numbers", apitest.Returning(), "fence n1 --yes --reason disk", 3, "it would leave a range of orders with 1 of 3 replicas, need 2; out already: n3 (inc-dc1-42)"},
		{"nobody is there to confirm", apitest.Healthy(), "fence n1 --reason disk", 3, "CONFIRM_WRONG, exit 3\n  nothing was done; add --yes"},
		{"a plan that was seen before", apitest.Healthy(), "fence n1 --yes --plan 7f3a91c20b44 --reason disk", 3, "PLAN_STALE, exit 3"},
		{"a level that nobody knows", apitest.Healthy(), "fence n1 --level voltage --reason disk", 2, "--level voltage"},
		{"a level that is not raised by hand", apitest.Healthy(), "fence n1 --level process --yes --reason disk", 3, "rule fencing. Nothing was done."},
		{"a node that nobody knows", apitest.Healthy(), "fence n33 --yes --reason disk", 4, "NODE_UNKNOWN, exit 4"},
		{"under a pause", apitest.Paused(), "fence n1 --yes --reason disk", 3, byTheClock().Times("ana paused the region until 2026-11-22T04:02:00.000Z: new switch; resume first")},
		{"in mode observe", watched, "fence n1 --yes --reason disk", 3, "rule mode. Nothing was done."},
		{"a fence that nobody raised", apitest.Healthy(), "unfence n1 --yes --reason disk", 3, "rule operator. Nothing was done."},
		{"a fence that a return raised", apitest.Returning(), "unfence n3 --yes --reason disk", 3, "rule one-open-incident. Nothing was done."},
		{"an approval of what is proposed", apitest.Asking(), "incident approve 42 --yes --reason seen", 0, "the fence of n3 (clients, reads): seen"},
		{"an approval of a stale plan", apitest.Asking(), "incident approve 42 --plan 7f3a91c20b44 --yes --reason seen", 3, "PLAN_STALE, exit 3\n  rule plan. Nothing was done."},
		{"an approval of what proposes nothing", held, "incident approve 42 --yes --reason seen", 3, "is in phase Held and proposes nothing"},
		{"an abort", apitest.Returning(), "incident abort 42 --yes --reason stop", 0, "let it go on: supervisor incident retry inc-dc1-42"},
		{"a retry of what goes on by itself", apitest.Returning(), "incident retry 42 --yes --reason go", 3, "it goes on by itself"},
		{"an acknowledgement", held, "incident ack 42 --reason seen", 0, "has seen it: seen"},
		{"what is closed stays as it is", apitest.Healthy(), "incident abort 41 --yes --reason stop", 3, "rule closed-is-quiet. Nothing was done."},
		{"an incident that nobody knows", apitest.Healthy(), "incident ack 7 --reason seen", 4, "INCIDENT_UNKNOWN, exit 4"},
		{"a mute", apitest.Returning(), "finding mute quorum_at_risk --for 1h --reason known", 0, "mutes QUORUM_AT_RISK of dc1 until"},
		{"what cannot be muted", apitest.Returning(), "finding mute QUORUM_LOST --reason known", 3, "rule mute. Nothing was done."},
		{"nothing is muted in advance", apitest.Healthy(), "finding mute QUORUM_AT_RISK --reason known", 3, "nothing is muted in advance"},
		{"a code that nobody knows", apitest.Healthy(), "finding mute QUORUM --reason known", 4, "FINDING_UNKNOWN, exit 4"},
		{"a mute that does not stand", apitest.Healthy(), "finding unmute STORE_SLOW --reason known", 3, "STORE_SLOW is not muted"},
		{"the store is lost", lost, "pause --reason switch", 3, "STORE_UNAVAILABLE, exit 3\n  rule intent-first. Nothing was done."},
		{"nobody leads", leaderless, "pause --reason switch", 3, "NOBODY_LEADS, exit 3"},
	} {
		t.Run(tt.why, func(t *testing.T) {
			socket, _ := agentAt(t, tt.at)
			args := append(strings.Split(tt.args, " "), "--socket", socket)
			exit, out, errs := typed(args...)
			text := out
			if tt.exit != 0 {
				text = errs
			}
			if exit != tt.exit || !strings.Contains(strings.Join(strings.Fields(text), " "), strings.Join(strings.Fields(tt.says), " ")) {
				t.Errorf("%v: exit %d, want %d with %q\n%s%s", args, exit, tt.exit, tt.says, out, errs)
			}
		})
	}
}

// A mode is one line of the policy, and everything else of it stays.
func TestMode(t *testing.T) {
	socket, source := agentAt(t, apitest.Healthy())
	exit, out, errs := typed("mode", "dc1", "observe", "--yes", "--reason", "night", "--socket", socket)
	if exit != 0 || !strings.Contains(out, "  modes.dc1  auto -> observe\npolicy v8 by ") {
		t.Errorf("exit %d\n%s%s", exit, out, errs)
	}
	if words := source.Words(); len(words) != 1 || words[0].Policy.ModeOf("dc1") != incident.Observe || words[0].Base != 7 {
		t.Errorf("the leader is told %+v", words)
	}
	for args, want := range map[string]string{
		"mode dc9 auto --yes --reason r": "DATACENTER_UNKNOWN, exit 4", "mode dc1 fast --yes --reason r": "USAGE, exit 2", "mode dc1 auto --yes": "--reason is missing"} {
		if exit, _, errs := typed(append(strings.Split(args, " "), "--socket", socket)...); exit == 0 || !strings.Contains(errs, want) {
			t.Errorf("%s: exit %d, %s", args, exit, errs)
		}
	}
}

// What is printed for scripts is one envelope on stdout, of a refusal too.
func TestOrdersInJSON(t *testing.T) {
	for args, want := range map[string]string{"fence n1 --yes --reason disk -o json": api.OrderRefused, "incident abort 42 --yes --reason stop -o json": api.OrderFollowed} {
		socket, source := agentAt(t, apitest.Returning())
		_, out, errs := typed(append(strings.Split(args, " "), "--socket", socket)...)
		var e api.Envelope[api.OrderAnswer]
		if err := json.Unmarshal([]byte(out), &e); err != nil || e.Data.State != want || e.Data.Request != "request-1" || e.Data.Who == "" {
			t.Errorf("%s: %v, %+v\n%s%s", args, err, e.Data, out, errs)
		}
		words := source.Words()
		if len(words) != 1 || words[0].About == nil || words[0].About.Said.IsZero() || words[0].About.Unconfirmed != (want == api.OrderRefused) {
			t.Errorf("%s: the leader is told %+v", args, words)
		}
	}
}

// A leader that does not answer in time still has the word, and says so.
func TestAnOrderThatWaits(t *testing.T) {
	socket, source := agentAt(t, apitest.Healthy())
	source.Sleep()
	exit, out, errs := typed("pause", "--reason", "switch", "--wait", "300ms", "--socket", socket)
	if exit != exitFailed || !strings.Contains(errs, "ORDER_WAITS, exit 1\n  it stays in the leader's inbox as request-1") {
		t.Errorf("exit %d\n%s%s", exit, out, errs)
	}
}

// An order whose writing nobody answered for is awaited like any other, and is
// never called one of which nothing was done.
func TestAnOrderWhoseAnswerIsLost(t *testing.T) {
	observe := policyFile(t, func(p *incident.Policy) { p.Modes = map[cluster.Datacenter]incident.Mode{"dc1": incident.Observe} })
	for _, row := range []struct {
		why  string
		args []string
		deaf bool
		exit int
		says string // on stdout, or on stderr when it fails
	}{
		{"it was written", []string{"pause", "--reason", "switch"}, false, 0, "pauses the region until"},
		{"a policy that was written", []string{"policy", "apply", observe, "--yes", "--reason", "r"}, false, 0, "policy v8 by "},
		{"nobody hears of it", []string{"pause", "--reason", "switch", "--wait", "300ms"}, true, exitFailed,
			"ORDER_UNKNOWN, exit 1\n  it may stand in the leader's inbox as request-1\n"},
		{"nobody hears of a policy", []string{"policy", "apply", observe, "--yes", "--reason", "r", "--wait", "300ms"}, true, exitFailed,
			"ORDER_UNKNOWN, exit 1\n  it may stand in the leader's inbox as request-1\n"},
	} {
		socket, source := agentAt(t, apitest.Healthy())
		source.LoseAnswers(errors.New("commit: deadline exceeded"))
		if row.deaf {
			source.Sleep()
		}
		exit, out, errs := typed(append(row.args, "--socket", socket)...)
		text := out
		if row.exit != 0 {
			text = errs
		}
		if exit != row.exit || !strings.Contains(text, row.says) || strings.Contains(out+errs, "Nothing was done") || len(source.Words()) != 1 {
			t.Errorf("%s: exit %d, want %d with %q\n%s%s", row.why, exit, row.exit, row.says, out, errs)
		}
	}
}
