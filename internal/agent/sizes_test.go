// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"reflect"
	"testing"
)

func TestSizesAreToldRoughly(t *testing.T) {
	const mib = 1 << 20
	type sizes = map[string]map[string]int64
	for _, row := range []struct {
		why       string
		is        sizes
		told, say sizes
	}{
		{"the next power of two", sizes{"ks": {"a": 3 * mib, "b": 4 * mib}}, nil, sizes{"ks": {"a": 4, "b": 4}}},
		{"below one MiB it is not told", sizes{"ks": {"a": mib - 1}, "other": {"b": mib}}, nil, sizes{"other": {"b": 1}}},
		{"what was told is near: it stays", sizes{"ks": {"a": 7 * mib}}, sizes{"ks": {"a": 4}}, sizes{"ks": {"a": 4}}},
		{"twice as much is another", sizes{"ks": {"a": 8 * mib}}, sizes{"ks": {"a": 4}}, sizes{"ks": {"a": 8}}},
		{"half is too", sizes{"ks": {"a": 2 * mib}}, sizes{"ks": {"a": 4}}, sizes{"ks": {"a": 2}}},
		{"a table that is gone is gone", sizes{"ks": {"b": mib}}, sizes{"ks": {"a": 4}}, sizes{"ks": {"b": 1}}},
	} {
		if got := roughly(row.is, row.told); !reflect.DeepEqual(got, row.say) {
			t.Errorf("%s: told %v, want %v", row.why, got, row.say)
		}
	}
}
