// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"testing"
)

// However many a policy lets out at once, they stand in one rack.
func TestBudgetIsOfOneRack(t *testing.T) {
	rows := []struct {
		why                string
		most               int
		out                []Holder
		mayReturn, mayHand bool
	}{
		{"nobody is out", 1, nil, true, true},
		{"as many as may be", 1, []Holder{{Node: "n4", Rack: "r1", Incident: "b", Kind: HoldsReturn}}, false, false},
		{"one more may be, of its rack", 2, []Holder{{Node: "n4", Rack: "r1", Incident: "b", Kind: HoldsReturn}}, true, true},
		{"one more may be, and another rack has one on its way", 2, []Holder{{Node: "n2", Rack: "r2", Incident: "b", Kind: HoldsReturn}}, false, false},
		{"one of another rack went by itself, and nobody brings it back", 2, []Holder{{Node: "n2", Rack: "r2", Incident: "b", Kind: HoldsOutage}}, true, false},
		{"its own turn", 1, []Holder{{Node: "n1", Rack: "r1", Incident: "a", Kind: HoldsFence}}, true, true},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			p := DefaultPolicy()
			p.Budgets.NodesPerDatacenter = r.most
			x := newTurn(Record{ID: "a", Node: "n1", Rack: "r1", Datacenter: "dc1"}, World{Policy: &p, Ledger: Ledger{Holders: r.out}})
			if f := x.budgetFault(); (f == nil) != r.mayReturn {
				t.Errorf("to return: %+v", f)
			}
			if f := x.budgetRefusal(); (f == nil) != r.mayHand {
				t.Errorf("by hand: %+v", f)
			}
		})
	}
}
