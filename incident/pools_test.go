// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"testing"

	"supervisor/cluster"
)

// What an agent said of a proxy stays in the store when the agent goes, or the
// pool leaves the policy: nobody would ever take it back.
func TestOnlyLivingAgentsTellOfDeclaredProxies(t *testing.T) {
	gone := map[string]ProxyStatus{"ha": {Trouble: "connection refused"}, "ha9": {Trouble: "connection refused"}}
	for _, row := range []struct {
		why, pool string
		agent     cluster.Name
		says      map[string]ProxyStatus
		want      string // the subject, and who says so
	}{
		{"an agent that lives", "web", "n2", gone, "web/ha by n2"},
		{"an agent whose key is gone", "web", "n9", gone, ""},
		{"a pool that the policy does not name", "old", "n2", gone, ""},
		{"a proxy that the policy does not name", "web", "n2", map[string]ProxyStatus{"ha9": gone["ha9"]}, ""},
	} {
		t.Run(row.why, func(t *testing.T) {
			s := newStage(t)
			s.ring(3)
			s.w.PoolSeen[row.pool] = map[cluster.Name]PoolSeen{row.agent: {Proxies: row.says}}
			found := ""
			for _, f := range Diagnose(s.w) {
				if f.Code == "POOL_UNREACHABLE" {
					found += f.Subject + " by " + f.Args["agent"]
				}
			}
			if found != row.want {
				t.Errorf("found %q, want %q", found, row.want)
			}
		})
	}
}
