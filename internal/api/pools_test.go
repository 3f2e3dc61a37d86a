// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"testing"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/api/apitest"
)

// The last word of a host that is gone is no reading: the agents that live cannot
// reach the proxy, or have not read it yet.
func TestAPoolIsInStepByTheWordOfLivingAgentsOnly(t *testing.T) {
	for _, row := range []struct {
		why     string
		living  bool   // n3, who read it in step
		trouble string // of n1; empty: it has no word
		inStep  bool
		want    string
	}{
		{"whoever reads it lives", true, "connection refused", true, ""},
		{"those that live cannot reach it", false, "connection refused", false, "connection refused"},
		{"nobody who lives has read it", false, "", false, "no agent has read it yet"},
	} {
		t.Run(row.why, func(t *testing.T) {
			s := apitest.Healthy()
			good := s.World.PoolSeen["cql"]["n1"]
			s.World.PoolSeen["cql"] = map[cluster.Name]incident.PoolSeen{"n3": good}
			if row.trouble != "" {
				s.World.PoolSeen["cql"]["n1"] = incident.PoolSeen{Token: good.Token, Proxies: map[string]incident.ProxyStatus{"proxy-1": {Trouble: row.trouble}}}
			}
			if !row.living {
				delete(s.World.Agents, "n3")
			}
			p := api.PoolsOf(s)[0]
			if p.InStep != row.inStep || p.Proxies[0].Trouble != row.want || api.StatusOf(s).Pools.InStep == 1 != row.inStep {
				t.Errorf("in step %v, trouble %q; want %v, %q", p.InStep, p.Proxies[0].Trouble, row.inStep, row.want)
			}
		})
	}
}
