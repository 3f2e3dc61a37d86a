// SPDX-License-Identifier: Apache-2.0

// Package residency answers one question: may data of this keyspace stand in
// that region? Whoever plans a flow of data asks it, and asks again before the
// effect; it never looks where data is.
//
// What a policy does not name is refused. An unknown region, a rule without
// regions and rules that contradict each other are refusals too, so a mistake
// in a policy stops work and moves nothing.
package residency
