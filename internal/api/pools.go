// SPDX-License-Identifier: Apache-2.0

package api

import (
	"fmt"
	"slices"
	"strings"

	"supervisor/cluster"
	"supervisor/loadbalancer"
	"supervisor/membership"
)

// Pool is one pool: wanted beside actual.
type Pool struct {
	Name    string       `json:"name"`
	Backend string       `json:"backend"`
	InStep  bool         `json:"in_step"` // every proxy was read back as wanted by some agent
	Floor   *int         `json:"floor"`   // ready members that must be left; null: this agent does not judge
	Ready   *int         `json:"ready"`   // members that answer and are wanted ready
	Token   string       `json:"token"`   // of the wanted state; empty: nobody wrote one yet
	Members []PoolMember `json:"members"`
	Proxies []PoolProxy  `json:"proxies"`
}

// PoolMember is one node in one pool.
type PoolMember struct {
	Node   cluster.Name      `json:"node"`
	Want   loadbalancer.Want `json:"want"`
	Weight int               `json:"weight"` // percent that is wanted
	Actual []MemberActual    `json:"actual"` // one a proxy
}

// MemberActual is what one proxy says of one member.
type MemberActual struct {
	Proxy    string            `json:"proxy"`
	Want     loadbalancer.Want `json:"want"`
	Weight   int               `json:"weight"`
	Up       *bool             `json:"up"` // the proxy's own check; null: it does not check
	Sessions int               `json:"sessions"`
}

// PoolProxy is one proxy that serves a pool.
type PoolProxy struct {
	Name    string       `json:"name"`
	Agent   cluster.Name `json:"agent"` // whose reading this is
	InStep  bool         `json:"in_step"`
	Trouble string       `json:"trouble"`
	Drift   []string     `json:"drift"`
	Unknown []string     `json:"unknown"`
}

// PoolsOf lists the pools of the policy, in its order.
func PoolsOf(s Snapshot) []Pool {
	out := []Pool{}
	if s.World.Policy == nil {
		return out
	}
	for _, d := range s.World.Policy.Pools {
		out = append(out, poolOf(s, d))
	}
	return out
}

func poolOf(s Snapshot, d loadbalancer.Declared) Pool {
	standing, written := s.World.Pools[d.Name]
	p := Pool{Name: d.Name, Backend: d.Backend, Members: []PoolMember{}, Proxies: []PoolProxy{}, InStep: len(d.Proxies) > 0}
	if written {
		p.Token = standing.Token.String()
	}
	wanted := d.Pool(standing.Pool)
	answering, ready := 0, 0
	for _, n := range d.Members {
		wish := wanted.Wants[n]
		p.Members = append(p.Members, PoolMember{Node: n, Want: wish.Want, Weight: percent(wish), Actual: []MemberActual{}})
		if verdictOf(s, n).Answer == membership.Alive {
			answering++
			if wish.Want == loadbalancer.Ready {
				ready++
			}
		}
	}
	if s.judges() {
		floor := loadbalancer.Floor(answering)
		p.Floor, p.Ready = &floor, &ready
	}
	for _, proxy := range d.Proxies {
		row, actual := proxyOf(s, d.Name, proxy.Name)
		p.Proxies = append(p.Proxies, row)
		p.InStep = p.InStep && row.InStep
		for i := range p.Members {
			if j := slices.IndexFunc(actual, func(a loadbalancer.Actual) bool { return a.Server == p.Members[i].Node }); j >= 0 {
				p.Members[i].Actual = append(p.Members[i].Actual, memberActual(proxy.Name, actual[j]))
			}
		}
	}
	return p
}

func memberActual(proxy string, a loadbalancer.Actual) MemberActual {
	m := MemberActual{Proxy: proxy, Want: a.Want, Sessions: a.Sessions}
	if a.Want == loadbalancer.Ready {
		m.Weight = a.Weight
	}
	if a.CheckKnown {
		up := a.Up
		m.Up = &up
	}
	return m
}

// proxyOf is the newest reading of a proxy that some living agent has; of equal
// ones the one without trouble, then the first by name.
func proxyOf(s Snapshot, pool, proxy string) (PoolProxy, []loadbalancer.Actual) {
	row := PoolProxy{Name: proxy, Trouble: "no agent has read it yet", Drift: []string{}, Unknown: []string{}}
	var actual []loadbalancer.Actual
	var newest cluster.Token
	found := false
	for _, agent := range s.World.Readers(pool) {
		seen := s.World.PoolSeen[pool][agent]
		st, has := seen.Proxies[proxy]
		if !has {
			continue
		}
		newer := seen.Token.Compare(newest)
		if found && (newer < 0 || newer == 0 && (row.Trouble == "" || st.Trouble != "")) {
			continue
		}
		found, newest, actual = true, seen.Token, st.Actual
		row = PoolProxy{Name: proxy, Agent: agent, InStep: st.InStep && seen.Token.Compare(s.World.Pools[pool].Token) >= 0,
			Trouble: st.Trouble, Drift: listed(st.Drift), Unknown: listed(st.Unknown)}
	}
	return row, actual
}

func listed(l []string) []string { return append([]string{}, l...) }

func poolCount(pools []Pool) PoolCount {
	c := PoolCount{Total: len(pools)}
	proxies := map[string]bool{}
	for _, p := range pools {
		if p.InStep {
			c.InStep++
		}
		for _, proxy := range p.Proxies {
			proxies[proxy.Name] = true
		}
	}
	c.Proxies = len(proxies)
	return c
}

// poolWords say on one line what the pools want of a node.
func poolWords(s Snapshot, n cluster.Name) []string {
	out := []string{}
	for _, d := range s.World.Policy.PoolsOf(n) {
		wish := d.Pool(s.World.Pools[d.Name].Pool).Wants[n]
		out = append(out, fmt.Sprintf("%s %s", d.Name, wish))
	}
	return out
}

// actualWords say on one line what the proxies show of a node.
func actualWords(pools []Pool, n cluster.Name) []string {
	out := []string{}
	for _, p := range pools {
		for _, m := range p.Members {
			if m.Node != n {
				continue
			}
			var parts []string
			for _, a := range m.Actual {
				parts = append(parts, fmt.Sprintf("%s, %s", loadbalancer.Wish{Want: a.Want, Weight: a.Weight}, Counted(a.Sessions, "session")))
			}
			if len(parts) == 0 {
				parts = []string{"not read yet"}
			}
			out = append(out, p.Name+" "+strings.Join(slices.Compact(parts), " / "))
		}
	}
	return out
}
