// SPDX-License-Identifier: Apache-2.0

package etcd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"supervisor/internal/etcd"
	"supervisor/internal/store"
)

const place = "/supervisor/1/orders/eu/"

// founded is a store of one member with an era and three more keys, and its
// backup taken after the second; the member runs.
func founded(t *testing.T) (o etcd.EmbedOptions, m *etcd.Member, c *etcd.Store, backup string) {
	t.Helper()
	o, addr := member(t)
	o.Dir = filepath.Join(t.TempDir(), "store")
	m = bootstrap(t, o)
	so := options(t, "n1", place, addr)
	c = dial(t, so)
	for _, key := range []string{store.Era, "a", "leader/x"} {
		write(t, c, key, "before")
	}
	backup = filepath.Join(t.TempDir(), "backup")
	var b bytes.Buffer
	if _, err := c.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(backup, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, c, "a", "after")
	return o, m, c, backup
}

func write(t *testing.T, c *etcd.Store, key, value string) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	res, err := c.Commit(ctx, store.Txn{Put: []store.Put{{Key: key, Value: []byte(value)}}})
	if err != nil || !res.OK {
		t.Fatalf("write %s: %+v, %v", key, res, err)
	}
	return res.Rev
}

// read is what stands in a store at addr, and its revision.
func read(t *testing.T, c *etcd.Store) (map[string]store.KV, int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	kvs, rev, err := c.List(ctx, "")
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	all := map[string]store.KV{}
	for _, kv := range kvs {
		all[kv.Key] = kv
	}
	return all, rev
}

// recovering are the options under which a store is recovered beside o.
func recovering(o etcd.EmbedOptions) etcd.EmbedOptions {
	o.Dir += ".new"
	o.Token += "-recovered"
	return o
}

func TestAStoreIsRecoveredFromABackupOrASurvivor(t *testing.T) {
	t.Parallel()
	for _, survivor := range []bool{false, true} {
		t.Run(fmt.Sprintf("survivor %t", survivor), func(t *testing.T) {
			t.Parallel()
			o, m, c, backup := founded(t)
			_, was := read(t, c)
			known, _ := c.Seen()
			if err := m.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			from, want := etcd.Source{Backup: backup}, "before"
			if survivor {
				from, want = etcd.Source{Member: o.Dir}, "after"
			}
			anew := recovering(o)
			var found store.Sight
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := etcd.Recover(ctx, anew, from, place, func(s store.Sight) ([]byte, error) { found = s; return []byte("second"), nil }); err != nil {
				t.Fatalf("recover: %v", err)
			}
			if string(found.Era) != "before" || found.Rev <= was {
				t.Errorf("found era %q at revision %d, the store was at %d", found.Era, found.Rev, was)
			}
			if id, err := etcd.ClusterOf(anew.Dir); err != nil || id != found.EtcdCluster {
				t.Errorf("the directory is of %s, %v, want %s", id, err, found.EtcdCluster)
			}
			if id, err := etcd.ClusterOf(o.Dir); err != nil || id != store.EtcdCluster(known) {
				t.Errorf("the old directory is of %s, %v, want %x", id, err, known)
			}
			reopen(t, anew)
			stranger := dial(t, options(t, "n2", place, strings.TrimPrefix(o.Members["n1"].Client, "http://")))
			all, rev := read(t, stranger)
			if string(all["a"].Value) != want || string(all[store.Era].Value) != "second" || all["leader/x"].Mod != 0 {
				t.Errorf("recovered is a %q, era %q, leader %+v", all["a"].Value, all[store.Era].Value, all["leader/x"])
			}
			if all["a"].Mod > found.Rev || all[store.Era].Mod <= found.Rev || rev <= was {
				t.Errorf("a was changed at %d, the era at %d, found at %d, before %d", all["a"].Mod, all[store.Era].Mod, found.Rev, was)
			}
			if id, _ := stranger.Seen(); id == known || store.EtcdCluster(id) != found.EtcdCluster {
				t.Errorf("cluster %x, found %s, was %x", id, found.EtcdCluster, known)
			}
			// Who knew the store before believes this one only when it follows it.
			if _, err := c.Pulse(t.Context()); !errors.Is(err, store.ErrWentBack) {
				t.Errorf("the client of the old one: %v", err)
			}
			sight, err := c.Look(t.Context())
			if err != nil || sight.EtcdCluster != found.EtcdCluster || string(sight.Era) != "second" {
				t.Errorf("looked at %+v, %v", sight, err)
			}
			if err := c.Follow(sight); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the old client goes on", func() error { _, err := c.Pulse(t.Context()); return err })
			if now := write(t, c, "a", "later"); now <= rev {
				t.Errorf("revision %d after %d", now, rev)
			}
		})
	}
}

// A watch that was open when the store was lost begins again with the whole.
func TestAWatchGoesOnInARecoveredStore(t *testing.T) {
	t.Parallel()
	o, m, c, backup := founded(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	batches := c.Watch(ctx, "")
	if b := <-batches; !b.Whole {
		t.Fatalf("first batch %+v", b)
	}
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	anew := recovering(o)
	if err := etcd.Recover(t.Context(), anew, etcd.Source{Backup: backup}, place, func(store.Sight) ([]byte, error) { return []byte("second"), nil }); err != nil {
		t.Fatal(err)
	}
	reopen(t, anew)
	eventually(t, "following it", func() error {
		sight, err := c.Look(t.Context())
		if err == nil {
			err = c.Follow(sight)
		}
		return err
	})
	for end := time.After(patience); ; {
		select {
		case b := <-batches:
			if b.Whole {
				return
			}
		case <-end:
			t.Fatal("no whole batch")
		}
	}
}

func TestOthersJoinARecoveredStore(t *testing.T) {
	t.Parallel()
	os, urls := trio(t, false)
	os[0].Dir = filepath.Join(t.TempDir(), "store")
	first := bootstrap(t, os[0])
	second, third := join(t, os[1]), join(t, os[2])
	c := client(t, urls, nil)
	write(t, c, store.Era, "first")
	for _, m := range []*etcd.Member{first, second, third} {
		if err := m.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	anew := recovering(os[0])
	if err := etcd.Recover(t.Context(), anew, etcd.Source{Member: os[0].Dir}, place, func(store.Sight) ([]byte, error) { return []byte("second"), nil }); err != nil {
		t.Fatal(err)
	}
	reopen(t, anew)
	os[1].Dir, os[2].Dir = t.TempDir(), t.TempDir() // the old ones are set aside
	join(t, os[1])
	join(t, os[2])
	seen := client(t, urls, nil)
	st, err := seen.Health(t.Context())
	if err != nil || len(st.Members) != 3 {
		t.Fatalf("health: %+v, %v", st, err)
	}
	commits(t, seen, "with three again")
}

func TestWhatIsNoCopyIsRefusedAndLeavesNothing(t *testing.T) {
	t.Parallel()
	o, m, _, backup := founded(t)
	whole, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	file := func(b []byte) string {
		name := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	turned := bytes.Clone(whole)
	turned[len(turned)/2] ^= 1
	fine := func(store.Sight) ([]byte, error) { return []byte("second"), nil }
	errWhy := errors.New("no")
	rows := []struct {
		why    string
		from   etcd.Source
		prefix string
		era    func(store.Sight) ([]byte, error)
		want   error
	}{
		{"the directory of a member that runs", etcd.Source{Member: o.Dir}, place, fine, etcd.ErrInUse},
		{"a directory without a member", etcd.Source{Member: t.TempDir()}, place, fine, etcd.ErrNoStore},
		{"a file that is not there", etcd.Source{Backup: backup + ".no"}, place, fine, os.ErrNotExist},
		{"a directory for a backup", etcd.Source{Backup: t.TempDir()}, place, fine, etcd.ErrNoBackup},
		{"an empty file", etcd.Source{Backup: file(nil)}, place, fine, etcd.ErrNoBackup},
		{"a checksum alone", etcd.Source{Backup: file(make([]byte, 32))}, place, fine, etcd.ErrNoBackup},
		{"a text", etcd.Source{Backup: file([]byte("hello"))}, place, fine, etcd.ErrNoBackup},
		{"one that was cut short", etcd.Source{Backup: file(whole[:len(whole)-100])}, place, fine, etcd.ErrNoBackup},
		{"one that lacks whole pages", etcd.Source{Backup: file(whole[:len(whole)-4096])}, place, fine, etcd.ErrNoBackup},
		{"one in which a bit is turned", etcd.Source{Backup: file(turned)}, place, fine, etcd.ErrNoBackup},
		{"the backup of another cluster", etcd.Source{Backup: backup}, "/supervisor/1/other/eu/", fine, etcd.ErrForeign},
		{"an era that its caller refuses", etcd.Source{Backup: backup}, place, func(store.Sight) ([]byte, error) { return nil, errWhy }, errWhy},
	}
	anew := recovering(o)
	for _, r := range rows {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		err := etcd.Recover(ctx, anew, r.from, r.prefix, r.era)
		cancel()
		if !errors.Is(err, r.want) {
			t.Errorf("%s: %v, want %v", r.why, err, r.want)
		}
		if errors.Is(err, etcd.ErrForeign) && !strings.Contains(err.Error(), "it holds /supervisor/1/orders/eu") {
			t.Errorf("%v does not say what is there instead", err)
		}
		if _, err := os.Stat(anew.Dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: something was left behind: %v", r.why, err)
		}
	}
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(anew.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := etcd.Recover(t.Context(), anew, etcd.Source{Backup: backup}, place, fine); !errors.Is(err, os.ErrExist) {
		t.Errorf("over a directory that is there: %v", err)
	}
}

func TestTheEraOfAStoreOfTheSiteIsRaisedOnce(t *testing.T) {
	t.Parallel()
	addr := embedded(t)
	c := dial(t, options(t, "n1", place, addr))
	if err := c.RaiseEra(t.Context(), func(store.Sight) ([]byte, error) { return nil, nil }); !errors.Is(err, etcd.ErrForeign) {
		t.Errorf("an empty etcd: %v", err)
	}
	for _, key := range []string{store.Era, "leader/x", "agents/n1", "a"} {
		write(t, c, key, "1")
	}
	before := write(t, c, "a", "2")
	err := c.RaiseEra(t.Context(), func(s store.Sight) ([]byte, error) {
		if string(s.Era) != "1" || s.Rev != before {
			t.Errorf("found %+v, want revision %d", s, before)
		}
		return []byte("2"), nil
	})
	all, _ := read(t, c)
	if err != nil || string(all[store.Era].Value) != "2" || len(all) != 2 {
		t.Errorf("%v: %v", err, all)
	}
	err = c.RaiseEra(t.Context(), func(store.Sight) ([]byte, error) {
		admin(t, addr, func(ctx context.Context, c *clientv3.Client) error {
			_, err := c.Put(ctx, place+store.Era, "3")
			return err
		})
		return []byte("4"), nil
	})
	if !errors.Is(err, etcd.ErrEraPassed) {
		t.Errorf("somebody was first: %v", err)
	}
}
