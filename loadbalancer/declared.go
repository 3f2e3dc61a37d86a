// SPDX-License-Identifier: Apache-2.0

package loadbalancer

import "supervisor/cluster"

// Declared is one pool as the policy declares it.
type Declared struct {
	Name    string         `json:"name" yaml:"name"`
	Backend string         `json:"backend" yaml:"backend"` // what the proxies call the pool
	Members []cluster.Name `json:"members" yaml:"members"` // the proxies' servers have the same names
	Writers []cluster.Name `json:"writers" yaml:"writers"` // agents that may write it, the preferred one first
	Proxies []Proxy        `json:"proxies" yaml:"proxies"`
}

// Proxy is one proxy that serves a pool.
type Proxy struct {
	Name   string `json:"name" yaml:"name"`
	Socket string `json:"socket" yaml:"socket"` // absolute path, or IP:port, of its runtime interface
}

// Pool returns the wanted pool of this declaration. Members keep the wish
// they have in old; others are in full service, because declaring a member is
// an operator's word that it may serve. Pass Pool{} to begin.
func (d Declared) Pool(old Pool) Pool {
	p := Pool{Name: d.Name, Wants: make(map[cluster.Name]Wish, len(d.Members))}
	for _, m := range d.Members {
		wish, had := old.Wants[m]
		if !had {
			wish = Full
		}
		p.Wants[m] = wish
	}
	return p
}

// Whole returns a Refusal when the wanted pool is not the declared one:
// empty, of another name, without a declared member or with a foreign one. It
// is asked before a pool is written and before one is obeyed.
func (d Declared) Whole(p Pool) error {
	no := func(why string) error { return Refusal{Rule: PoolFloor, Pool: d.Name, Why: why} }
	if p.Name != d.Name {
		return no("the wanted set is that of pool " + p.Name)
	}
	if len(p.Wants) == 0 {
		return no("the wanted set is empty")
	}
	declared := make(map[cluster.Name]bool, len(d.Members))
	for _, m := range d.Members {
		declared[m] = true
		if _, wished := p.Wants[m]; !wished {
			return no("the wanted set leaves out the declared member " + string(m))
		}
	}
	for _, m := range p.Members() {
		if !declared[m] {
			return no("the wanted set names " + string(m) + ", which is not declared")
		}
		if _, err := p.Wants[m].settled(); err != nil {
			return no(string(m) + ": " + err.Error())
		}
	}
	return nil
}

// Writer chooses who writes a pool: the first of its writers that was heard
// from lately. False: none was, so nobody writes and the proxies stay as
// they are. Two agents that choose differently for a moment write the same
// wanted state, so no lease is needed.
func Writer(writers []cluster.Name, fresh func(cluster.Name) bool) (cluster.Name, bool) {
	for _, w := range writers {
		if fresh(w) {
			return w, true
		}
	}
	return "", false
}
