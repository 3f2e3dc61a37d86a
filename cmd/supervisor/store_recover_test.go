// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/agent"
	"supervisor/internal/etcd"
	"supervisor/internal/lead"
	"supervisor/internal/settings"
	"supervisor/internal/store"
)

func yes() error { return nil }

// recoveryAt is a recovery on a host.
func recoveryAt(cfg settings.Agent) recovering {
	return recovering{cfg: cfg, reason: "two disks  are lost", now: time.Now().UTC().Truncate(time.Second), out: io.Discard}
}

// refusedBy wants an error with a code that tells that nothing was done.
func refusedBy(t *testing.T, err error, code, says string) {
	t.Helper()
	var f failure
	if !errors.As(err, &f) || f.code != code || f.exit != exitRefused || !strings.Contains(err.Error(), says) ||
		len(f.remedy) == 0 || f.remedy[0] != "Nothing was changed." {
		t.Errorf("got %#v, want %s, %q", err, code, says)
	}
}

// foundedStore is the store of three, set up and backed up by its first member,
// which runs until stop is called.
func foundedStore(t *testing.T, ctx context.Context) (files map[cluster.Name]settings.Agent, backupFile string, stop func()) {
	t.Helper()
	files = storeOf(t)
	for n, a := range files {
		a.StateDir = t.TempDir()
		files[n] = a
	}
	m, err := firstMember(ctx, options(t, files["n1"]))
	if err != nil {
		t.Fatal(err)
	}
	stop = func() {
		if err := m.Close(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	}
	if err := initStore(ctx, files["n1"], []cluster.Host{{Name: "n1"}}, "first", io.Discard); err != nil {
		t.Fatal(err)
	}
	backupFile = filepath.Join(t.TempDir(), "backup")
	if err := backup(ctx, files["n1"], backupFile, io.Discard); err != nil {
		t.Fatal(err)
	}
	return files, backupFile, stop
}

// eraOf is the era of the store that answers.
func eraOf(t *testing.T, ctx context.Context, cfg settings.Agent) (doc lead.EraDoc, sight store.Sight) {
	t.Helper()
	client, err := dialStore(cfg, agent.Horizon{}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close(context.WithoutCancel(ctx)) }()
	if sight, err = client.Look(ctx); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(sight.Era, &doc); err != nil {
		t.Fatal(err)
	}
	return doc, sight
}

func TestALostStoreIsRecoveredAcknowledgedAndGrowsAgain(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	files, file, stop := foundedStore(t, ctx)
	second := keepMember(options(t, files["n2"]), zap.NewNop())
	waitFor(t, "the second member", second, runs)

	r := recoveryAt(files["n1"])
	r.backup = file
	refusedBy(t, r.restore(ctx, yes), "STORE_ANSWERS", "n1, n2 answer")
	stop()
	refusedBy(t, r.restore(ctx, yes), "STORE_MEMBER_ANSWERS", "n2 runs")
	second.close()
	word := incident.Acknowledgement{By: "bo", Why: "looked", At: r.now}
	dir := files["n1"].Store.Embedded.Dir
	refusedBy(t, r.restore(ctx, func() error { return refuse("CONFIRM_WRONG", errors.New("no")) }), "CONFIRM_WRONG", "no")
	if left, _ := filepath.Glob(dir + ".*"); len(left) != 0 {
		t.Errorf("refused, and left %v", left)
	}

	r.seen = agent.Horizon{Era: 4} // this host saw later eras than the copy knows
	var said bytes.Buffer
	r.out = &said
	if err := r.restore(ctx, yes); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(dir + ".*"); len(left) != 1 || !strings.HasPrefix(left[0], dir+".aside-") || !strings.Contains(said.String(), "set aside: "+left[0]) {
		t.Errorf("beside the store stand %v; said is\n%s", left, said.String())
	}
	first := keepMember(options(t, files["n1"]), zap.NewNop())
	defer first.close()
	waitFor(t, "the recovered member", first, runs)
	doc, sight := eraOf(t, ctx, files["n1"])
	if doc.Era != 5 || doc.EtcdClusterID != sight.EtcdCluster || !doc.Recovered.Waits() || doc.Recovered.Why != "two disks are lost" ||
		!strings.Contains(doc.Recovered.From, file+" on n1") {
		t.Errorf("the era is %+v, %+v of %s", doc, doc.Recovered, sight.EtcdCluster)
	}

	// The second host gives up its old directory by a person's word only.
	join := recoveryAt(files["n2"])
	if err := join.setAside(ctx); err != nil {
		t.Fatal(err)
	}
	second = keepMember(options(t, files["n2"]), zap.NewNop())
	defer func() { second.close() }()
	waitFor(t, "the second member in the recovered store", second, runs)
	refusedBy(t, join.setAside(ctx), "STORE_IN_USE", "a member runs")
	second.close()
	refusedBy(t, join.setAside(ctx), "STORE_UNAVAILABLE", "") // one of two is no majority
	second = keepMember(options(t, files["n2"]), zap.NewNop())
	waitFor(t, "the second member once more", second, runs)

	refusedBy(t, acknowledge(ctx, files["n2"], 4, word, io.Discard), "ERA_WRONG", "era 5")
	if err := acknowledge(ctx, files["n2"], 5, word, io.Discard); err != nil {
		t.Fatal(err)
	}
	refusedBy(t, acknowledge(ctx, files["n2"], 5, word, io.Discard), "STORE_ACKNOWLEDGED", "bo acknowledged it")
	if doc, _ = eraOf(t, ctx, files["n1"]); doc.Recovered.Waits() || *doc.Recovered.Acknowledged != word || doc.Era != 5 {
		t.Errorf("acknowledged is %+v", doc.Recovered)
	}
	if got, err := etcd.ClusterOf(dir); err == nil && got != sight.EtcdCluster {
		t.Errorf("%s holds a member of %s", dir, got)
	}
}

func TestASurvivorsOwnDirectoryIsRecoveredInItsPlace(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	files, _, stop := foundedStore(t, ctx)
	r := recoveryAt(files["n1"])
	r.member = files["n1"].Store.Embedded.Dir
	refusedBy(t, r.restore(ctx, yes), "STORE_IN_USE", "a member runs")
	stop()
	if err := r.restore(ctx, yes); err != nil {
		t.Fatal(err)
	}
	k := keepMember(options(t, files["n1"]), zap.NewNop())
	defer k.close()
	waitFor(t, "the recovered member", k, runs)
	if doc, _ := eraOf(t, ctx, files["n1"]); doc.Era != 2 || !doc.Recovered.Waits() {
		t.Errorf("the era is %+v", doc)
	}
}

func TestARecoveryIsRefusedWithOneMessage(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	files, file, stop := foundedStore(t, ctx)
	refusedBy(t, acknowledge(ctx, files["n1"], 1, incident.Acknowledgement{}, io.Discard), "STORE_NOT_RECOVERED", "never recovered")
	refusedBy(t, recoveryAt(files["n2"]).raise(ctx, yes), "STORE_EMBEDDED", "themselves")
	old := files["n2"]
	if err := os.MkdirAll(old.Store.Embedded.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	refusedBy(t, recoveryAt(old).setAside(ctx), "STORE_NOT_RECOVERED", "")
	stop()
	refusedBy(t, recoveryAt(old).setAside(ctx), "STORE_UNAVAILABLE", "")
	r := recoveryAt(files["n1"])
	r.backup = file
	torn := r
	torn.backup = filepath.Join(t.TempDir(), "torn")
	if err := os.WriteFile(torn.backup, make([]byte, 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	refusedBy(t, torn.restore(ctx, yes), "BACKUP_TORN", "1000 bytes")
	foreign := r
	foreign.cfg.Cluster = "billing"
	refusedBy(t, foreign.restore(ctx, yes), "STORE_FOREIGN", "it holds /supervisor/1/orders/eu")
	outside := r
	outside.cfg.Store.Embedded = nil
	refusedBy(t, outside.restore(ctx, yes), "STORE_EXTERNAL", "no member")
	dir := files["n1"].Store.Embedded.Dir
	if err := os.Mkdir(dir+".recovering", 0o700); err != nil {
		t.Fatal(err)
	}
	refusedBy(t, r.restore(ctx, yes), "STORE_RECOVERING", "another recovery")
	if left, _ := filepath.Glob(dir + ".*"); len(left) != 1 {
		t.Errorf("left are %v", left)
	}
}

func TestAStoreOfTheSiteIsTakenOverOnlyWhenItWentBack(t *testing.T) {
	r := recovering{cfg: settings.DefaultAgent(), seen: agent.Horizon{EtcdCluster: "c1", Rev: 100, Era: 2}}
	sight := func(etcdCluster string, rev int64, era string) store.Sight {
		return store.Sight{EtcdCluster: etcdCluster, Rev: rev, Era: []byte(era)}
	}
	rows := []struct {
		why    string
		found  store.Sight
		era    uint32
		refuse bool
	}{
		{"the one that is known", sight("c1", 100, `{"era":2,"etcd_cluster_id":"c1"}`), 0, true},
		{"a copy in another etcd", sight("c2", 100, `{"era":2,"etcd_cluster_id":"c1"}`), 0, false},
		{"another etcd than the one that is known", sight("c2", 900, `{"era":2,"etcd_cluster_id":"c2"}`), 0, false},
		{"it stands before what was seen", sight("c1", 99, `{"era":2,"etcd_cluster_id":"c1"}`), 0, false},
		{"an earlier era", sight("c1", 100, `{"era":1,"etcd_cluster_id":"c1"}`), 0, false},
		{"a person knows better", sight("c1", 100, `{"era":2,"etcd_cluster_id":"c1"}`), 3, false},
	}
	for _, row := range rows {
		r.era = row.era
		err := r.wentBack(row.found)
		if (err != nil) != row.refuse {
			t.Errorf("%s: %v", row.why, err)
		}
		if row.refuse {
			refusedBy(t, err, "STORE_ANSWERS", "did not go back")
		}
	}
}

func TestRecoveryWantsASourceAReasonAndTheName(t *testing.T) {
	for args, says := range map[string]string{
		"store recover":                                 "from what?",
		"store recover --from-backup f":                 "--reason is missing",
		"store recover --from-backup f --from-member d": "one of --from-backup",
		"store acknowledge --reason x":                  "--era is missing",
		"store acknowledge --era 2":                     "--reason is missing",
	} {
		if exit, out, errs := typed(strings.Fields(args)...); exit != exitUsage || out != "" || !strings.Contains(errs, says) {
			t.Errorf("%s: %d %q %q", args, exit, out, errs)
		}
	}
	r := recovering{cfg: settings.Agent{Cluster: "orders"}}
	for word, fits := range map[string]bool{"orders": true, " orders ": true, "order": false, "": false} {
		r.confirm = word
		if err := r.confirmed(newStoreRecover()); (err == nil) != fits {
			t.Errorf("%q: %v", word, err)
		}
	}
}
