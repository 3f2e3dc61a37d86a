// SPDX-License-Identifier: Apache-2.0

package api

import "testing"

func TestCounted(t *testing.T) {
	for want, got := range map[string]string{
		"0 racks": Counted(0, "rack"), "1 rack": Counted(1, "rack"), "2 open incidents": Counted(2, "open incident"),
		"1 proxy": Counted(1, "proxy"), "3 proxies": Counted(3, "proxy"), "2 days": Counted(2, "day"),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
