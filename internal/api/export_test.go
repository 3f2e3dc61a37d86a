// SPDX-License-Identifier: Apache-2.0

package api

// What the tests of the outside need of the inside: snapshots to draw come
// from a package that imports this one.
var (
	TestMetrics = testMetrics
	Gathered    = gathered
	NamesOf     = namesOf
	Value       = value
	GroupActs   = groupActs
	GroupID     = groupID
)

// LetAct replaces who may act.
func (s *Server) LetAct(may func(Peer) bool) { s.mayAct = may }
