// SPDX-License-Identifier: Apache-2.0

package etcd_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"supervisor/internal/etcd"
	"supervisor/internal/store"
)

// TestTheStoreOfAnotherRegionIsRead has two regions with a store each. The reader of
// the other one sees what changes there, leaves no trace, and its loss is nothing to
// the own store.
func TestTheStoreOfAnotherRegionIsRead(t *testing.T) {
	t.Parallel()
	const eu, us = "/supervisor/1/orders/eu/", "/supervisor/1/orders/us/"
	own := dial(t, options(t, "n1", eu, embedded(t)))
	far := embedded(t)
	there := dial(t, options(t, "b1", us, far))
	line := newProxy(t, far)
	r, err := etcd.DialReader(options(t, "n1", us, line.addr()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, key := range []string{"fence/b1", "hosts/b1", "log/dc2/1"} {
		if _, err := there.Commit(t.Context(), put(key, "1")); err != nil {
			t.Fatal(err)
		}
	}
	ch := r.Watch(t.Context(), []string{"fence/", "hosts/"})
	if b := batch(t, ch); !b.Whole || fmt.Sprint(keys(b)) != "[fence/b1 hosts/b1]" || b.Rev == 0 {
		t.Fatalf("the whole: %+v", b)
	}
	if b := batch(t, ch); b.Whole || len(b.KVs) > 0 || b.Rev == 0 {
		t.Errorf("nothing changed, and it says %+v", b)
	}
	beside(t, far)
	drain(ch)
	if b := batch(t, ch); b.Whole || len(b.KVs) > 0 { // once the watch has come past that
		t.Errorf("nothing of it changed, and it says %+v", b)
	}
	if _, err := there.Commit(t.Context(), put("log/dc2/2", "1")); err != nil {
		t.Fatal(err)
	}
	if _, err := there.Commit(t.Context(), put("fence/b2", "1")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a change there", func() error {
		b := batch(t, ch)
		for _, key := range keys(b) {
			if strings.HasPrefix(key, "log/") {
				t.Errorf("nobody asked for %s", key)
			}
		}
		if fmt.Sprint(keys(b)) == "[fence/b2]" {
			return nil
		}
		return fmt.Errorf("told of %v", keys(b))
	})
	noTrace(t, far)

	line.Mute(true)
	drained := time.After(4 * time.Second)
	for on := true; on; {
		select {
		case <-ch:
		case <-drained:
			on = false
		}
	}
	if err := r.Check(t.Context(), nobody); err == nil {
		t.Error("a store that is cut off answers")
	}
	began := time.Now()
	if res, err := own.Commit(t.Context(), put("record", "1")); err != nil || !res.OK || time.Since(began) > time.Second {
		t.Errorf("the own store: %v after %v", err, time.Since(began))
	}
	select {
	case b := <-ch:
		t.Errorf("a store that is cut off says %+v", b)
	default:
	}
	line.Cut()
	eventually(t, "it is read whole again", func() error {
		if b := batch(t, ch); !b.Whole {
			return errors.New("not whole")
		}
		return nil
	})
}

// beside writes what is none of the region's business into its etcd.
func beside(t *testing.T, addr string) {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://" + addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Put(t.Context(), "/others/1", "1"); err != nil {
		t.Fatal(err)
	}
}

func drain(ch <-chan store.Batch) {
	for len(ch) > 0 {
		<-ch
	}
}

func nobody(store.Sight) bool { return false }

// noTrace wants one lease in a store, that of its own region's agent.
func noTrace(t *testing.T, addr string) {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://" + addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if l, err := c.Leases(t.Context()); err != nil || len(l.Leases) != 1 {
		t.Errorf("leases of the other region's store: %+v, %v; want one", l, err)
	}
}

func keys(b store.Batch) (names []string) {
	for _, kv := range b.KVs {
		names = append(names, kv.Key)
	}
	return names
}
