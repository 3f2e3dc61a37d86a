// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"os"
	"slices"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// rewrite keeps what was found as what must be found.
func rewrite(t *testing.T, path string, a *txtar.Archive, got string) {
	t.Helper()
	a.Files = slices.DeleteFunc(a.Files, func(f txtar.File) bool { return f.Name == "found" })
	a.Files = append(a.Files, txtar.File{Name: "found", Data: []byte(got)})
	if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
		t.Fatal(err)
	}
}
