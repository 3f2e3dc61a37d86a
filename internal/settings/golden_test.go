// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"go.yaml.in/yaml/v3"

	"supervisor/cluster"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Every bad document says all its faults, each with its place. The golden
// text is what a person reads.
func TestBadDocuments(t *testing.T) {
	dir := site(t)
	hosts := []cluster.Host{{Name: "n1", Region: "region1", Datacenter: "dc1"}, {Name: "n2", Region: "region1", Datacenter: "dc1"}}
	readers := map[string]func(file string, text []byte) error{
		"policy": func(file string, text []byte) error { _, err := ParsePolicy(file, text, nil); return err },
		"policy-roster": func(file string, text []byte) error {
			_, err := ParsePolicy(file, text, hosts)
			return err
		},
		"agent": func(file string, text []byte) error { _, err := ParseAgent(file, text); return err },
		"hosts": func(file string, text []byte) error { _, err := ParseHosts(file, text); return err },
	}
	count := 0
	for _, name := range []string{"policy", "policy-roster", "agent", "hosts"} {
		count += archive(t, filepath.Join("testdata", name+"_bad.txtar"), func(file string, text string) string {
			at := file
			if name == "hosts" {
				at = filepath.Join(dir, file)
			}
			err := readers[name](at, []byte(strings.ReplaceAll(text, "$DIR", dir)))
			var faults Faults
			if !errors.As(err, &faults) {
				t.Errorf("%s: %v, want faults", file, err)
				return ""
			}
			return strings.ReplaceAll(strings.ReplaceAll(err.Error(), dir+"/"+file, file), dir, "$DIR") + "\n"
		})
	}
	if count < 40 {
		t.Errorf("%d bad documents, fewer than there were", count)
	}
}

// archive runs every FILE.yaml of an archive and compares with FILE.golden.
func archive(t *testing.T, path string, answer func(file, text string) string) int {
	t.Helper()
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden := map[string]string{}
	out := txtar.Archive{Comment: a.Comment}
	for _, f := range a.Files {
		golden[f.Name] = string(f.Data)
	}
	count := 0
	for _, f := range a.Files {
		if filepath.Ext(f.Name) != ".yaml" {
			continue
		}
		count++
		want := strings.TrimSuffix(f.Name, ".yaml") + ".golden"
		got := answer(f.Name, string(f.Data))
		out.Files = append(out.Files, f, txtar.File{Name: want, Data: []byte(got)})
		if !*update && got != golden[want] {
			t.Errorf("%s of %s:\n%swant:\n%s", f.Name, path, got, golden[want])
		}
	}
	if *update {
		if err := os.WriteFile(path, txtar.Format(&out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return count
}

// Every good document is read; the golden text shows all that it means,
// defaults included.
func TestGoodDocuments(t *testing.T) {
	dir := site(t)
	archive(t, filepath.Join("testdata", "good.txtar"), func(file, text string) string {
		text = strings.ReplaceAll(text, "$DIR", dir)
		var got any
		var err error
		switch {
		case strings.HasPrefix(file, "agent"):
			got, err = ParseAgent(file, []byte(text))
		case strings.HasPrefix(file, "hosts"):
			got, err = ParseHosts(filepath.Join(dir, file), []byte(text))
		default:
			p, perr := ParsePolicy(file, []byte(text), nil)
			got, err = struct {
				Hash     string
				Describe string
				Policy   string
			}{p.Hash, DescribePolicy(p), string(RenderPolicy(p))}, perr
		}
		if err != nil {
			t.Errorf("%s: %v", file, err)
			return ""
		}
		text2, err := yaml.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(text2), dir, "$DIR")
	})
}

// site is a directory with the files that documents name.
func site(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	key := "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n"
	for _, f := range []struct {
		name, text string
		mode       os.FileMode
	}{
		{"gossip.key", key, 0o600},
		{"open.key", key, 0o644},
		{"short.key", key + "c2hvcnQ=\n", 0o600},
		{"text.key", "not base64!\n", 0o400},
		{"empty.key", "", 0o600},
		{"start.sh", "#!/bin/sh\n", 0o755},
		{"plain.sh", "#!/bin/sh\n", 0o644},
		{"credentials", "username = a\npassword = b\n", 0o640},
		{"open.credentials", "username = a\npassword = b\n", 0o644},
		{"n3.pub", "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=\n", 0o644},
		{"bad.pub", "QUJD\n", 0o644},
		{"ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 0o644},
		{"tls.key", "secret", 0o600},
	} {
		path := filepath.Join(dir, f.name)
		if err := os.WriteFile(path, []byte(f.text), f.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, f.mode); err != nil { // whatever the umask
			t.Fatal(err)
		}
	}
	return dir
}
