// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"strings"
	"testing"

	"supervisor/cluster"
	"supervisor/membership"
)

// An incident deals with what it was opened about: a disk that fills meanwhile is
// somebody else's.
func TestWhatAnAgentTellsOfItsNodeIsHandledByNoIncident(t *testing.T) {
	w := World{Open: []Record{{ID: "inc-dc1-7", Node: "n3", Cause: membership.ProcessDown, Phase: Returning, Mode: Auto}},
		Agents:   map[cluster.Name]Agent{"n3": {Troubles: []Trouble{{Code: "DISK_FULL", Args: map[string]string{"detail": "4 GiB of 1 TiB are free"}}}}},
		Topology: membership.NewTopology([]cluster.Host{{Name: "n3", Datacenter: "dc1", Rack: "r1"}})}
	handled := map[string]string{}
	for _, f := range Diagnose(w) {
		if f.Subject == "n3" {
			handled[f.Code] = f.Handled
		}
		if strings.Contains(f.Sentence, "{") {
			t.Errorf("%s: %s", f.Code, f.Sentence)
		}
	}
	if by, told := handled["DISK_FULL"]; !told || by != "" {
		t.Errorf("DISK_FULL: told %v, handled by %q", told, by)
	}
	if by := handled["CASS_PROCESS_DOWN"]; by != "inc-dc1-7" {
		t.Errorf("CASS_PROCESS_DOWN is handled by %q", by)
	}
}
