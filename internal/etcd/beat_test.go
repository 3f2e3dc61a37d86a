// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"supervisor/internal/store"
)

// TestABeatIsOfAWatchThatHasCaughtUp has a store that stood at revision 9 when it was
// asked, and a watch on a member that lags behind.
func TestABeatIsOfAWatchThatHasCaughtUp(t *testing.T) {
	change := func(key string, rev int64) clientv3.WatchResponse {
		return clientv3.WatchResponse{Header: &pb.ResponseHeader{Revision: rev},
			Events: []*clientv3.Event{{Type: mvccpb.Event_PUT, Kv: &mvccpb.KeyValue{Key: []byte("/p/" + key), ModRevision: rev}}}}
	}
	progress := func(rev int64) clientv3.WatchResponse {
		return clientv3.WatchResponse{Header: &pb.ResponseHeader{Revision: rev}}
	}
	rows := []struct {
		why  string
		resp clientv3.WatchResponse
		want string // keys of the batch; beat: an empty one; none: no batch
	}{
		{"a change that it had not brought yet", change("fence/b1", 7), "fence/b1"},
		{"one that nobody asked for", change("log/1", 8), "none"},
		{"it stands before that still", progress(8), "none"},
		{"it has brought all of it", progress(9), "beat"},
		{"nobody asked again", progress(12), "none"},
	}
	w := &watch{s: &Store{o: Options{Prefix: "/p/"}}, out: make(chan store.Batch, 1), takes: func(key string) bool { return strings.HasPrefix(key, "fence/") }, reach: 5, wants: 9}
	for _, r := range rows {
		if err := w.take(r.resp); err != nil {
			t.Fatal(err)
		}
		got := "none"
		select {
		case b := <-w.out:
			got = "beat"
			for _, kv := range b.KVs {
				got = kv.Key
			}
		default:
		}
		if got != r.want {
			t.Errorf("%s: %s, want %s", r.why, got, r.want)
		}
	}
	if w.reach != 8 {
		t.Errorf("it goes on from revision %d, want 8", w.reach)
	}
}
