// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"strings"
)

// sentences are what people read, by code. {name} is replaced by the argument
// of that name. One table for the journal and the findings; nothing else in
// the program renders either.
var sentences = map[string]string{
	// the journal
	"saw_looks":               "{observers}",
	"judged":                  "{cause}: {for} of {heard} observers heard ({of} eligible) in {racks} racks besides its own, own agent {own}",
	"saw_unasked":             "the agent of {node} says that it may lack writes: its gate started it unasked, or it was in an incident that the store does not know",
	"judged_slow":             "{node} is slow: it {evidence}",
	"decided_lower":           "{node} gets {weight} % of its weight while it is slow",
	"proved_lower":            "proxies of {pools} read back: {node} has {weight} % of its weight",
	"waits_slow":              "nobody knows now whether {node} is slow",
	"waits_slow_drain":        "it is drained if it is slow for {age} more",
	"waits_slow_avoid":        "its Severity is raised if it is slow for {age} more",
	"waits_slow_further":      "nothing more is done about its slowness: {reason}",
	"decided_avoid":           "raise Severity on {node}, which is slow without clients too. After it {margin}",
	"proved_avoid":            "Severity stands on {node}: coordinators choose other replicas",
	"decided_let_in":          "let readers choose {node} again, slow as it is: {reason}",
	"did_let_in":              "Severity of {node} goes to 0: readers may choose it again",
	"waits_slow_over":         "{node} is not slow any more; it is given back after {age} of that",
	"decided_slow_over":       "{node} is as fast as its peers again: give it back",
	"decided_slow_undone":     "slow.act is false now: what was done about {node} because it is slow is undone",
	"slow_again":              "{node} is slow again",
	"slow_gone":               "{node}, which was only slow, is gone: {cause}",
	"slow_restarted":          "{node} announced its stop and runs again, process {process}",
	"closed_slow_untouched":   "{node} is not slow any more; nothing was done to it",
	"closed_slow_left":        "{node} is slow, and nothing is done to it: {reason}",
	"closed_slow_over":        "{node} has its full weight again after {after}; budget given back",
	"would_drain":             "would drain {node} and bring it back; mode {mode} only looks",
	"waits_evidence":          "not sure enough: {for} of {heard} observers heard ({of} eligible) say it is gone",
	"decided_drain":           "drain {node}. After it {margin}",
	"decided_no_pool":         "{node} is in no pool: nothing to drain",
	"refused_drain":           "{reason}",
	"proved_drain":            "proxies of {pools} read back: {node} is out",
	"waits_pools":             "proxies of {pools} have not confirmed yet",
	"saw_proxies_silent":      "proxies {proxies} answer nobody; they get {node} back when they answer again",
	"waits_fence":             "a fence needs evidence {age} old: it might be a long collection",
	"waits_fence_bar":         "no fence yet: {reason}",
	"decided_fence":           "fence {node}: end its hung process {process} and keep it from starting. It has been silent for {age}",
	"decided_fence_again":     "end {process} of {node}, try {try}",
	"did_kill":                "{node}'s agent ended the process, and its gate lets none start",
	"waits_proof":             "{process} has to be seen to end by its own agent, and by a neighbour who is refused on both of its ports",
	"waits_fencer":            "nobody on {node} can end its process; it goes on when its agent is back",
	"saw_awake":               "{node} answers again while it is being fenced: nothing is ended",
	"proved_fence":            "{process} of {node} ended: {proof}",
	"decided_cut":             "cut {node} off: {peers} are to drop what its host says on the storage port. Nobody has reached it for {age}",
	"waits_cut":               "no word from {peers} yet that {node} is cut off",
	"proved_cut":              "{node} is cut off: {proof}",
	"decided_power":           "turn the host of {node} off by the power hook of {agent}: {reason}. Nobody has reached it for {age}",
	"decided_power_again":     "turn the host of {node} off by the power hook of {agent}, try {try}: {reason}",
	"waits_power":             "no power hook has said yet that the host of {node} is off",
	"did_power_off":           "the power hook of {agent} turned the host of {node} off",
	"saw_off":                 "the power hook, asked once more by {agent}, says that the host of {node} is off",
	"waits_silence":           "the power hook of {agent} says that the host of {node} is off, and not everybody misses it yet",
	"proved_power":            "{node} is turned off: {proof}",
	"saw_heard":               "{node} is heard again: its power is left as it is",
	"decided_end_cut":         "{node} is heard again behind its cut: end {process}, try {try}, for it believes what was true before",
	"waits_end":               "{process} has to be seen to end by its own agent",
	"proved_ended":            "nothing runs on {node} any more ({process} was cut off): its peers may let it in again, and it returns",
	"waits_cql":               "the JVM of {node} lives, its native transport is off: drained, never fenced; a person is asked after {age}",
	"decided_verify":          "{node} answers again: verify",
	"decided_return":          "return: it ended unclean, so it is repaired before it is read; window of missed writes from {outage}",
	"decided_repair_in_place": "{node} runs and may lack writes (another process, or a silence beyond its hints): it is kept from readers and repaired",
	"decided_fence_reads":     "keep clients and readers off {node} until it is repaired",
	"decided_give_back":       "{node} answers with the same process: back into its pools",
	"decided_ramp":            "{node} gets {weight} % of its weight",
	"waits_answered":          "its agent says that nothing runs on {node}, and {who} had an answer of it a moment ago; it goes on when nobody has",
	"waits_agent":             "no agent on {node} can start it; it goes on when that agent is back",
	"waits_process":           "{node} answers, and only its own agent can tell which process that is; it goes on when that agent is back",
	"waits_own":               "the agent on {node} has not told yet how its fence stands there",
	"cold_started":            "{node} went with the whole ring: nothing was acknowledged while it was away",
	"waits_reader":            "no live peer with an agent can compare with {node} now",
	"waits_preflight":         "{reason}",
	"waits_repair":            "no batch of the repair begins: {why}; {next}",
	"repair_unheard":          "waited {time} for {peers} ({why}): repaired with them one segment at a time",
	"waits_repaired":          "nobody serves, and {peers} may be in the ring and were not repaired yet: they would be read from",
	"did_start":               "start {node}, {how}, try {try}",
	"proved_start":            "{node} started in {took} (Cassandra's own time), generation {generation}",
	"waits_conviction":        "{peers} still say UP of {node}, which was ended: it starts again when they do not",
	"waits_down":              "{peers} have not said yet that the hibernated node is DOWN",
	"saw_up":                  "{peers} say UP of {node} while it hibernates: it is no fence there, end it and start again",
	"proved_down":             "{peers} say DOWN of {node}",
	"decided_left_out":        "left out: {count} quiet tables ({tables}), unbroken and unchanged on all {replicas} other replicas since {since}, before {what}",
	"did_repair":              "repaired {done}/{total} segments, round {round}",
	"saw_plan_lost":           "the plan of the repair cannot be read in the store: it is planned anew",
	"did_join":                "{node} left hibernation: takes writes and hints, is not read",
	"waits_up":                "{peers} have not said yet that the node is UP with Severity raised",
	"proved_up":               "{peers} say UP of {node}, Severity still raised",
	"proved_preview":          "compared by another coordinator: in sync",
	"proved_preview_itself":   "compared, by itself where no other Cassandra of its region has a copy: in sync",
	"proved_nothing_shared":   "{node} shares no range with a live peer: nothing to compare",
	"saw_preview_differs":     "compared by another coordinator: {tables} differ (a running writer does that); their rows are read one by one",
	"waits_compare":           "{tables} differed and their rows tell nothing: compared again",
	"proved_compare":          "{tables} compared again: in sync",
	"did_open":                "Severity 0, native transport on; still out of all pools",
	"waits_open":              "{peers} do not see Severity 0 yet, or the node does not answer yet",
	"no_known_rows":           "the policy names no known rows: {node} was proven by comparison only",
	"proved_rows":             "{read} known rows read at ONE through {node}: none old, none missing",
	"saw_no_rows":             "no row of {tables} could be compared: empty, or counters, collections or keys only",
	"saw_old_rows":            "{old} old and {missing} missing of {read} known rows: back behind the fence, repaired again",
	"proved_serving":          "proxies of {pools} read back: {node} has its first weight",
	"order_failed":            "{verb} by {agent}: {detail}",
	"return_exited":           "{reason}; try {try} is over",
	"return_failed":           "{reason}; try {try} is over",
	"return_killed":           "{reason}; try {try} is over",
	"gone_again":              "{node} is gone again: {cause}",
	"released":                "{node} needs no person any more: on with it",
	"held":                    "{reason}",
	"adopted":                 "{by} leads now and goes on with what stands written",
	"closed_untouched":        "{node} answers; nothing was done to it",
	"closed_answered":         "{node} serves again after {after}; budget given back",
	"closed_returned":         "{node} is clean and serves again after {after}, {cassandra} of it Cassandra's own work; budget given back",
	"asked_pause":             "{by} pauses {subject} until {until}: {why}",
	"asked_resume":            "{by} ends the pause of {subject} by {paused}: {why}{rest}",
	"pause_over":              "the pause of {scope} by {by} is over since {until}",
	"asked_mute":              "{by} mutes {subject} of {subjects} until {until}: {why}",
	"asked_unmute":            "{by} shows {subject} again: {why}",
	"mute_over":               "the mute of {code} by {by} is over since {until}",
	"asked_fence":             "{by} fences {node} ({levels}): {why}. After it {margin}",
	"asked_unfence":           "{by} lifts the fence of {node} that {fenced} raised: {why}; it is repaired before it is read",
	"asked_approve":           "{by} approves plan {plan}, the fence of {node} ({levels}): {why}",
	"asked_abort":             "{by} aborts in phase {phase}: {why}",
	"asked_ack":               "{by} has seen it: {why}",
	"asked_retry":             "{by} lets it try again what rule {rule} held: {why}",
	"asked_repair":            "{by} asks for a repair of {node}, {segments} segments, {refused} ranges are left out: {why}",
	"waits_again":             "{tables} differ; a running writer does that, so they are compared once more in a moment",
	"saw_recovered_repair":    "the store was recovered (era {era}) since this was written: {orders} orders may have been done, and are given again",
	"proved_sample":           "a sample was compared by another coordinator: in sync",
	"saw_sample_differs":      "a sample was compared twice, and {tables} differ: they are repaired again",
	"closed_repair":           "{node} is repaired after {after}, {cassandra} of it Cassandra's own work; {refused} ranges were left out",
	"closed_repair_aborted":   "the repair of {node} was aborted after {after}: what is repaired stays so",
	"refused_ask":             "{verb} {subject}, asked for by {by}: {reason}",
	"waits_paused":            "{pause}",
	"saw_read_anyway":         "{node} answers and may lack writes; it is read as it is, because a person stopped its incident",
	"waits_claimed":           "{orders} were begun with and end by themselves within their limits; nothing follows from them",
	"policy_stale":            "the policy of {by} was made against another version than the one that stands: refused",
	"policy_applied":          "policy v{version} by {by}: {why}",
	"saw_recovered":           "the store was recovered (era {era}) since this was written: {orders} orders may have been done, and no step of it is believed",
	"decided_anew":            "the recovered store is acknowledged: what is known of {node} is old, and it begins anew",
	"era_recovered":           "{by} recovered the store from {from}, era {era}: {why}; everything is only observed until it is acknowledged",
	"era_acknowledged":        "{by} acknowledged the recovered store, era {era}: {why}",
	"word_of_an_older_era":    "the word of {by} was given before the store was recovered: refused; say it again",
	"gate_said":               "gate of {node}: {start}, {why}",
}

// Sentence renders a code with its arguments. An unknown code is shown as it
// is, with nothing lost.
func Sentence(code string, args map[string]string) string {
	template, ok := sentences[code]
	if !ok {
		if row, found := RowOf(code); found {
			template = row.Template
		} else {
			template = code
		}
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(template, "{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return b.String() + "{" + rest
		}
		b.WriteString(args[name])
		template = after
	}
}
