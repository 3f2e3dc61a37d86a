// SPDX-License-Identifier: Apache-2.0

package api

import (
	"maps"
	"slices"
)

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

// Routes are all that the server answers.
func (s *Server) Routes() []string { return s.routes.all }

// Ruled are the routes that have a row.
func Ruled() []string { return slices.Sorted(maps.Keys(rights)) }

// RoleOf is roleOf.
var RoleOf = roleOf

// ConnectionsMax is connectionsMax.
const ConnectionsMax = connectionsMax
