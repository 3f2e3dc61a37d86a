// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"slices"
	"strconv"
	"strings"

	"supervisor/cluster"
	"supervisor/membership"
)

// poolRows are about pools and their proxies.
func poolRows() []Row {
	return []Row{
		{"POOL_UNREACHABLE", Warning, ScopePool, "proxy {proxy} of pool {pool} cannot be reached by {agent}: {detail}",
			"the others go on; mend the proxy or its socket", true, poolUnreachable},
		{"POOL_DRIFT", Warning, ScopePool, "proxy {proxy} of pool {pool} was changed by hand: {servers}",
			"put it back, or change the policy", true, poolDrift},
		{"POOL_UNKNOWN_SERVER", Warning, ScopePool, "proxy {proxy} and pool {pool} name different servers: {servers}",
			"the server's name must be the node's", true, poolUnknown},
		{"POOL_FLOOR", Error, ScopePool, "pool {pool} has {ready} ready members that answer, its floor is {floor}",
			"bring members back; nothing more is drained", true, poolFloor},
	}
}

func poolUnreachable(w World) []Subjected {
	return proxies(w, func(p ProxyStatus) string { return p.Trouble }, "detail")
}

func poolDrift(w World) []Subjected {
	return proxies(w, func(p ProxyStatus) string { return strings.Join(p.Drift, ", ") }, "servers")
}

func poolUnknown(w World) []Subjected {
	return proxies(w, func(p ProxyStatus) string { return strings.Join(p.Unknown, ", ") }, "servers")
}

// proxies lists the declared proxies of which some living agent says something,
// once each.
func proxies(w World, says func(ProxyStatus) string, arg string) []Subjected {
	var out []Subjected
	if w.Policy == nil {
		return nil
	}
	for _, d := range w.Policy.Pools {
		for _, proxy := range d.Proxies {
			for _, agent := range w.Readers(d.Name) {
				if what := says(w.PoolSeen[d.Name][agent].Proxies[proxy.Name]); what != "" {
					out = append(out, subject(d.Name+"/"+proxy.Name, "pool", d.Name, "proxy", proxy.Name, "agent", string(agent), arg, what))
					break
				}
			}
		}
	}
	return out
}

// Readers are the agents whose word about a pool counts, by name: those that
// live. What an agent said stays in the store when it goes, and nobody mends it.
func (w *World) Readers(pool string) []cluster.Name {
	var living []cluster.Name
	for n := range w.PoolSeen[pool] { // order: sorted below
		if _, lives := w.Agents[n]; lives {
			living = append(living, n)
		}
	}
	slices.Sort(living)
	return living
}

func poolFloor(w World) []Subjected {
	var out []Subjected
	if w.Policy == nil {
		return nil
	}
	for _, d := range w.Policy.Pools {
		answering, ready := 0, 0
		pool := d.Pool(w.Pools[d.Name].Pool)
		for _, m := range d.Members {
			if w.verdict(m).Answer != membership.Alive {
				continue
			}
			answering++
			if pool.Wants[m].Weight > 0 {
				ready++
			}
		}
		if floor := max(1, (answering+1)/2); ready < floor && w.Now.Sub(w.View.Began) > w.Policy.Bars().Fresh {
			out = append(out, subject(d.Name, "pool", d.Name, "ready", strconv.Itoa(ready), "floor", strconv.Itoa(floor)))
		}
	}
	return out
}
