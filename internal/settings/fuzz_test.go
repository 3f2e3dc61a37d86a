// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// Whatever stands in a file, the answer is a document in order or faults with
// places inside of it; nothing panics.
func FuzzReaders(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txtar"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no documents to begin with: %v", err)
	}
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, each := range a.Files {
			if filepath.Ext(each.Name) == ".yaml" {
				f.Add(each.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ParsePolicy("f", text, nil)
		checkFaults(t, text, err)
		if err == nil {
			again, err := ParsePolicy("f", RenderPolicy(p), nil)
			if err != nil || again.Hash != p.Hash {
				t.Errorf("rendered, it is another policy: %v\n%s", err, RenderPolicy(p))
			}
		}
		_, err = ParseAgent("f", text)
		checkFaults(t, text, err)
		_, err = ParseHosts("f", text)
		checkFaults(t, text, err)
	})
}

func checkFaults(t *testing.T, text []byte, err error) {
	t.Helper()
	if err == nil {
		return
	}
	var faults Faults
	if !errors.As(err, &faults) || len(faults.Faults) == 0 {
		t.Fatalf("%v is no list of faults", err)
	}
	for _, f := range faults.Faults {
		if f.What == "" || f.Line < 0 || f.Line > len(text)+1 {
			t.Errorf("fault without a place or a word: %+v", f)
		}
	}
}
