// SPDX-License-Identifier: Apache-2.0

package node

import "testing"

// Whoever ends a demo asks for that of each node, whatever was done to it, and
// whatever he may do.
func TestWhatIsNoMountIsWritableAlready(t *testing.T) {
	n := Node{Dir: t.TempDir()}
	if err := TurnWritable(n); err != nil {
		t.Errorf("a node without tables: %v", err)
	}
	if err := TurnWritable(node(t)); err != nil {
		t.Errorf("a node with a plain folder: %v", err)
	}
}
