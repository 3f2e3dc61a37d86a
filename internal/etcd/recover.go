// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"supervisor/internal/store"
)

// Errors of a recovery.
var (
	ErrInUse     = errors.New("a member runs on this directory")
	ErrNoBackup  = errors.New("this is no whole backup of a store")
	ErrForeign   = errors.New("no store of this cluster and region is in it")
	ErrEraPassed = errors.New("the era was changed by somebody else")
)

// raiseBy is how much higher a recovered store counts on than its copy did. No
// revision is used twice by then: what was written after the copy was taken is
// never mistaken for what is written now.
const raiseBy = 1_000_000_000

// Source is a copy of a store: a backup's file, or the directory of a member that
// is not running.
type Source struct{ Backup, Member string }

// String names the copy.
func (s Source) String() string { return s.Backup + s.Member }

// Check refuses what is no whole copy, before anything is done with it. A backup
// bears its own checksum, so one that was cut short or changed is noticed.
func (s Source) Check() error {
	if s.Member != "" {
		if there, err := (EmbedOptions{Dir: s.Member}).exists(); err != nil {
			return err
		} else if !there {
			return fmt.Errorf("%w: %s holds no member", ErrNoStore, s.Member)
		}
		return InUse(s.Member)
	}
	f, err := os.Open(s.Backup)
	if err != nil {
		return fmt.Errorf("read the backup: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("read the backup: %w", err)
	}
	size := info.Size()
	if !info.Mode().IsRegular() || size%512 != sha256.Size || size == sha256.Size {
		return fmt.Errorf("%w: %s has %d bytes, and a backup ends with a checksum of %d behind whole pages", ErrNoBackup, s.Backup, size, sha256.Size)
	}
	sum := sha256.New()
	if _, err := io.CopyN(sum, f, size-sha256.Size); err != nil {
		return fmt.Errorf("read the backup: %w", err)
	}
	said := make([]byte, sha256.Size)
	if _, err := io.ReadFull(f, said); err != nil {
		return fmt.Errorf("read the backup: %w", err)
	}
	if !slices.Equal(sum.Sum(nil), said) {
		return fmt.Errorf("%w: the checksum of %s is not that of what stands in it", ErrNoBackup, s.Backup)
	}
	return nil
}

// InUse tells whether a member runs on a directory: it holds its log locked.
func InUse(dir string) error {
	logs, err := filepath.Glob(filepath.Join(dir, "member", "wal", "*.wal"))
	if err != nil {
		return fmt.Errorf("look into %s: %w", dir, err)
	}
	for _, name := range logs {
		l, err := fileutil.TryLockFile(name, os.O_RDWR, fileutil.PrivateFileMode)
		if errors.Is(err, fileutil.ErrLocked) {
			return fmt.Errorf("%w: %s", ErrInUse, dir)
		}
		if err != nil {
			return fmt.Errorf("lock %s: %w", name, err)
		}
		if err := l.Close(); err != nil {
			return fmt.Errorf("unlock %s: %w", name, err)
		}
	}
	return nil
}

// ClusterOf is the etcd cluster whose member a directory holds; the member does
// not run.
func ClusterOf(dir string) (string, error) {
	lg, logs := zap.NewNop(), filepath.Join(dir, "member", "wal")
	snaps, err := wal.ValidSnapshotEntries(lg, logs)
	if err != nil || len(snaps) == 0 {
		return "", fmt.Errorf("read the member in %s: %w", dir, errors.Join(err, ErrNoStore))
	}
	w, err := wal.OpenForRead(lg, logs, snaps[len(snaps)-1])
	if err != nil {
		return "", fmt.Errorf("read the member in %s: %w", dir, err)
	}
	metadata, _, _, err := w.ReadAll()
	_ = w.Close() // of one that is only read it always fails
	if err != nil {
		return "", fmt.Errorf("read the member in %s: %w", dir, err)
	}
	var m pb.Metadata
	if err := proto.Unmarshal(metadata, &m); err != nil {
		return "", fmt.Errorf("read the member in %s: %w", dir, err)
	}
	return store.EtcdCluster(m.GetClusterID()), nil
}

// Recover makes a new store of a copy in o.Dir, which must not exist: with this
// one member, under a cluster ID of its own (o.Token must be new), counting on far
// above the copy. era is given what stands in it and writes its new era; its
// error, and any other, leaves nothing behind. The member does not run on
// afterwards, and nobody could talk to it while it did.
func Recover(ctx context.Context, o EmbedOptions, from Source, prefix string, era func(store.Sight) ([]byte, error)) (err error) {
	if err := from.Check(); err != nil {
		return err
	}
	if err := os.Mkdir(o.Dir, 0o700); err != nil {
		return fmt.Errorf("make the recovered member's directory: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(o.Dir)) // of our own making
		}
	}()
	restore := snapshot.RestoreConfig{SnapshotPath: from.Backup, Name: o.Name, OutputDataDir: o.Dir, PeerURLs: []string{o.Members[o.Name].Peer},
		InitialCluster: o.Name + "=" + o.Members[o.Name].Peer, InitialClusterToken: o.Token, RevisionBump: raiseBy, MarkCompacted: true}
	if from.Member != "" {
		work := filepath.Join(o.Dir, "copied")
		if restore.SnapshotPath, err = o.caughtUp(ctx, from.Member, work); err != nil {
			return err
		}
		restore.SkipHashCheck = true // a member's own database bears none
		restore.OutputDataDir = filepath.Join(o.Dir, "made")
	}
	if err = snapshot.NewV3(quiet(o.Logger)).Restore(restore); err != nil {
		return fmt.Errorf("restore from %s: %w", from, err)
	}
	if from.Member != "" {
		if err = os.Rename(filepath.Join(restore.OutputDataDir, "member"), filepath.Join(o.Dir, "member")); err != nil {
			return fmt.Errorf("restore from %s: %w", from, err)
		}
		if err = errors.Join(os.RemoveAll(restore.OutputDataDir), os.RemoveAll(filepath.Join(o.Dir, "copied"))); err != nil {
			return fmt.Errorf("restore from %s: %w", from, err)
		}
	}
	return o.alone(ctx, false, func(c *clientv3.Client) error { return raiseEra(ctx, c, prefix, era) })
}

// caughtUp brings a copy of a member's directory up to all that it had committed:
// its database may be behind its log. It returns the database.
func (o EmbedOptions) caughtUp(ctx context.Context, member, into string) (db string, err error) {
	if err := os.CopyFS(into, os.DirFS(member)); err != nil {
		return "", fmt.Errorf("copy %s: %w", member, err)
	}
	o.Dir = into
	if err := o.alone(ctx, true, nil); err != nil {
		return "", fmt.Errorf("read %s: %w", member, err)
	}
	return filepath.Join(into, "member", "snap", "db"), nil
}

// alone runs a member of one that nobody can reach, and ends it. force makes it
// the only member of its store.
func (o EmbedOptions) alone(ctx context.Context, force bool, do func(*clientv3.Client) error) error {
	cfg, err := o.config()
	if err != nil {
		return fmt.Errorf("options of store member %s: %w", o.Name, err)
	}
	cfg.ListenClientUrls, cfg.ListenPeerUrls, cfg.ForceNewCluster = nil, nil, force
	cfg.InitialCluster, cfg.ClusterState = o.Name+"="+o.Members[o.Name].Peer, embed.ClusterStateFlagExisting
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		return fmt.Errorf("start store member %s in %s: %w", o.Name, o.Dir, err)
	}
	m, err := (&Member{o: o, server: server, closed: make(chan struct{})}).Await(ctx)
	if err != nil {
		return err
	}
	if do != nil {
		c := v3client.New(server.Server)
		err = do(c)
		if closed := c.Close(); !errors.Is(closed, context.Canceled) { // which it says whenever it is closed
			err = errors.Join(err, closed)
		}
	}
	return errors.Join(err, m.Close(context.WithoutCancel(ctx)))
}

// RaiseEra writes a new era into the store that answers, whichever it is: for a
// store that its site restored. era is given what stands in it.
func (s *Store) RaiseEra(ctx context.Context, era func(store.Sight) ([]byte, error)) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.RequestTimeout)
	defer cancel()
	return raiseEra(ctx, s.client, s.o.Prefix, era)
}

// raiseEra replaces the era, and takes away what clients of the older one bound to
// their leases: a leader key among it would make one of them lead.
func raiseEra(ctx context.Context, c *clientv3.Client, prefix string, era func(store.Sight) ([]byte, error)) error {
	key := prefix + store.Era
	resp, err := c.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("read the era: %w", err)
	}
	if len(resp.Kvs) == 0 {
		return fmt.Errorf("%w: there is nothing at %s%s", ErrForeign, key, others(ctx, c))
	}
	value, err := era(store.Sight{EtcdCluster: store.EtcdCluster(resp.Header.ClusterId), Rev: resp.Header.Revision, Era: resp.Kvs[0].Value})
	if err != nil {
		return err
	}
	done, err := c.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", resp.Kvs[0].ModRevision)).Then(
		clientv3.OpPut(key, string(value)), clientv3.OpDelete(prefix+store.Leaders, clientv3.WithPrefix()), clientv3.OpDelete(prefix+store.Agents, clientv3.WithPrefix())).Commit()
	switch {
	case err != nil:
		return fmt.Errorf("write the era: %w", err)
	case !done.Succeeded:
		return ErrEraPassed
	}
	return nil
}

// others names the stores that are there instead.
func others(ctx context.Context, c *clientv3.Client) string {
	resp, err := c.Get(ctx, "/supervisor/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return ""
	}
	var found []string
	for _, kv := range resp.Kvs {
		if place, is := strings.CutSuffix(string(kv.Key), "/"+store.Era); is {
			found = append(found, place)
		}
	}
	if len(found) == 0 {
		return ", and no other store of a supervisor"
	}
	return "; it holds " + strings.Join(found, ", ")
}
