// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"path"
	"slices"
	"strings"
)

// ranks are the front rooms. A room knows lower ranks only; equal ranks do not
// know each other.
var ranks = map[string]int{
	"cluster":      0,
	"residency":    1,
	"membership":   2,
	"isolate":      2,
	"repair":       2,
	"replace":      2,
	"loadbalancer": 2,
	"incident":     3,
}

// fronts stands for all front rooms in a row of the tables below, adapters for
// all their sub-packages.
const (
	fronts   = "front rooms"
	adapters = "adapters"
	anything = "anything"
)

// blackBox tests the built program from outside and knows nothing of what is
// inside it.
const blackBox = "e2e"

// suite is a module of its own.
const suite = "e2e/cluster"

// pureBack are the rooms below internal that think and do not touch.
var pureBack = map[string][]string{
	"internal/store":       {"cluster"},
	"internal/store/model": {"cluster", "internal/store"},
	"internal/trend":       {"cluster"},
	"internal/lead":        {fronts, "internal/store"},
	"internal/obey":        {fronts, "internal/store"},
	"internal/sim":         {fronts, "internal/store", "internal/store/model", "internal/lead", "internal/obey"},
}

// back are the rooms that touch. A row that ends in /... is for the folders
// below it too. Only cmd sees adapters and the agent together.
var back = map[string][]string{
	"internal/alarms":          {},
	"internal/archtest":        {},
	"internal/cassandra":       {"cluster"},
	"internal/certs":           {},
	"internal/etcd":            {"cluster", "internal/store", "internal/certs"},
	"internal/process":         {"cluster"},
	"internal/store/storetest": {"cluster", "internal/store"},
	"internal/settings":        {fronts},
	"internal/trace":           {"cluster", "membership"},
	"internal/api/...":         {fronts, "internal/store", "internal/lead", "internal/obey", "internal/trace", "internal/certs", "internal/api/..."},
	"internal/render":          {fronts, "internal/api", "internal/trace"},
	"internal/agent": {fronts, "internal/store", "internal/lead", "internal/obey", "internal/api",
		"internal/cassandra", "internal/trace", "internal/trend"},
	"internal/demo/...": {fronts, adapters, "internal/cassandra", "internal/settings", "internal/etcd",
		"internal/store", "internal/api", "internal/demo/..."},
	"cmd/...": {anything},
	// What the packages do to a host, seen from outside.
	"deploy/package": {},
	blackBox:         {},
	// Sets hosts up, which takes what a site writes and the demo's Cassandra.
	suite: {fronts, adapters, "internal/settings", "internal/demo/..."},
}

// libraries have one door each: they are imported there and nowhere else.
var libraries = map[string][]string{
	"go.etcd.io/etcd":                 {"internal/etcd"},
	"github.com/hashicorp/memberlist": {"membership/gossip", "internal/demo/lan"},
	"github.com/gocql/gocql":          {"internal/cassandra", "internal/demo/...", suite},
	"github.com/google/nftables":      {"isolate/nft"},
	"github.com/mdlayher/netlink":     {"isolate/nft"},
	"github.com/spf13/cobra":          {"cmd/..."},

	"github.com/coreos/go-systemd/v22/dbus": {"isolate/systemd"},
	"github.com/godbus/dbus":                {"isolate/systemd"},
}

// pure tells whether a room must be a function of its arguments.
func pure(room string) bool {
	_, front := ranks[room]
	_, behind := pureBack[room]
	return front || behind
}

// front is the front room that an adapter belongs to; ok is false for any
// other room.
func front(room string) (of string, ok bool) {
	of = path.Dir(room)
	_, ok = ranks[of]
	return of, ok
}

// allowed lists what a room may import of ours; ok is false for a room that no
// table names.
func allowed(room string) (may []string, ok bool) {
	if rank, found := ranks[room]; found {
		for other, r := range ranks {
			if r < rank {
				may = append(may, other)
			}
		}
		return may, true
	}
	if of, found := front(room); found {
		return []string{of, "cluster", "internal/cassandra", "internal/process"}, true
	}
	if may, ok = pureBack[room]; ok {
		return may, true
	}
	for pattern, may := range back {
		if match(pattern, room) {
			return may, true
		}
	}
	return nil, false
}

// match tells whether a room stands under a pattern of the tables.
func match(pattern, room string) bool {
	_, isFront := ranks[room]
	_, isAdapter := front(room)
	switch pattern {
	case anything:
		return true
	case fronts:
		return isFront
	case adapters:
		return isAdapter
	}
	base, below := strings.CutSuffix(pattern, "/...")
	return room == base || below && strings.HasPrefix(room, base+"/")
}

// anyMatch tells whether a room stands under one of the patterns.
func anyMatch(patterns []string, room string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return match(p, room) })
}

// vague are names that say nothing; a package with one becomes the place for
// whatever has no other.
var vague = []string{"util", "utils", "common", "types", "helper", "helpers", "model" + "s", "misc", "base"}
