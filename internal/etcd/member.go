// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// EmbedOptions are complete; DefaultEmbedOptions fills in what has a good
// default.
type EmbedOptions struct {
	Dir  string // of this member alone; never on Cassandra's data disk in production
	Name string // of the control agent
	// ClientURL and PeerURL are loopback: they carry no TLS.
	ClientURL, PeerURL string
	// Peers are the peer URLs of all members by name, this one included. It is
	// read when the member is new; later the directory knows.
	Peers map[string]string
	// Token keeps members of different clusters from ever joining each other.
	Token string
	// MustExist says that this agent knows of a cluster: an empty directory is
	// then a lost disk, and starting on it would be a second, empty store.
	MustExist bool

	Heartbeat, Election time.Duration // whole milliseconds; election at least 5 heartbeats
	Retention           time.Duration // history older than this is compacted away
	QuotaBytes          int64         // of the database; above it nothing is written
	CloseMax            time.Duration // Close gives up waiting after this
	Logger              *zap.Logger   // errors of etcd go here
}

// DefaultEmbedOptions are those of the only member of a new store.
func DefaultEmbedOptions(name, dir, clientURL, peerURL string) EmbedOptions {
	return EmbedOptions{
		Dir: dir, Name: name, ClientURL: clientURL, PeerURL: peerURL,
		Peers: map[string]string{name: peerURL}, Token: "supervisor",
		Heartbeat: 250 * time.Millisecond, Election: 2500 * time.Millisecond,
		Retention: time.Hour, QuotaBytes: 512 << 20, CloseMax: 15 * time.Second, Logger: zap.NewNop(),
	}
}

// Member is an etcd server inside this process.
type Member struct {
	o      EmbedOptions
	server *embed.Etcd
	once   sync.Once
	closed chan struct{}
}

// Embed starts a member and waits until it serves, or ctx ends. A member of
// three serves when two of them run. etcd ends the whole process when it
// cannot persist what it promised to; that is its contract, not an accident.
func Embed(ctx context.Context, o EmbedOptions) (*Member, error) {
	cfg, err := o.config()
	if err != nil {
		return nil, fmt.Errorf("options of store member %s: %w", o.Name, err)
	}
	if err := o.checkDir(); err != nil {
		return nil, err
	}
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, fmt.Errorf("start store member %s in %s: %w", o.Name, o.Dir, err)
	}
	m := &Member{o: o, server: server, closed: make(chan struct{})}
	select {
	case <-server.Server.ReadyNotify():
		return m, nil
	case err = <-server.Err():
	case <-server.Server.StopNotify():
		err = errors.New("it stopped")
	case <-ctx.Done():
		err = ctx.Err()
	}
	closing, cancel := context.WithTimeout(context.Background(), o.CloseMax)
	defer cancel()
	return nil, errors.Join(fmt.Errorf("store member %s got ready: %w", o.Name, err), m.Close(closing))
}

// Stopped closes when the member ended by itself or was closed.
func (m *Member) Stopped() <-chan struct{} { return m.server.Server.StopNotify() }

// Close stops the member. Clients lose their streams at once and wait for its
// return. It comes back after CloseMax or when ctx ends, also when etcd hangs;
// it may be called again.
func (m *Member) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, m.o.CloseMax)
	defer cancel()
	m.once.Do(func() {
		go func() {
			defer close(m.closed)
			m.server.Close()
		}()
	})
	select {
	case <-m.closed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close store member %s: %w", m.o.Name, ctx.Err())
	}
}

// checkDir refuses a directory that is empty where it must not be.
func (o EmbedOptions) checkDir() error {
	_, err := os.Stat(filepath.Join(o.Dir, "member", "wal"))
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("directory of store member %s: %w", o.Name, err)
	case o.MustExist:
		return fmt.Errorf("%w: %s holds no store, but this agent has belonged to one. "+
			"If its disk was lost, bring the directory back; only for a new cluster run `supervisor store init`", ErrNoStore, o.Dir)
	}
	return nil
}

// ErrNoStore tells that the directory of a member that existed is empty.
var ErrNoStore = errors.New("the store is not where it was")

// config checks the options, reporting every fault at once, and translates
// them.
func (o EmbedOptions) config() (*embed.Config, error) {
	var faults []error
	must := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	must(o.Dir != "", "directory: empty")
	must(o.Name != "" && !strings.ContainsAny(o.Name, "=,"), "name %q: not empty, without = and comma", o.Name)
	must(o.Token != "", "token: empty")
	client, err := loopback(o.ClientURL)
	must(err == nil, "client URL: %v", err)
	peer, err := loopback(o.PeerURL)
	must(err == nil, "peer URL: %v", err)
	must(o.Peers[o.Name] == o.PeerURL, "peers: %s must stand there with %s, has %q", o.Name, o.PeerURL, o.Peers[o.Name])
	must(o.Heartbeat >= time.Millisecond && o.Election >= 5*o.Heartbeat && o.Election <= 50*time.Second,
		"heartbeat %v and election %v: election at least 5 heartbeats, at most 50 s", o.Heartbeat, o.Election)
	must(o.Retention >= time.Minute, "retention %v: at least 1 min", o.Retention)
	must(o.QuotaBytes >= 16<<20 && o.QuotaBytes <= 8<<30, "quota %d: 16 MiB to 8 GiB", o.QuotaBytes)
	must(o.CloseMax > 0, "longest close %v: above 0", o.CloseMax)
	must(o.Logger != nil, "logger: missing")
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return o.embedConfig(*client, *peer), nil
}

func (o EmbedOptions) embedConfig(client, peer url.URL) *embed.Config {
	cfg := embed.NewConfig()
	cfg.Dir, cfg.Name = o.Dir, o.Name
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster, cfg.InitialClusterToken = o.initialCluster(), o.Token
	cfg.TickMs, cfg.ElectionMs = uint(o.Heartbeat.Milliseconds()), uint(o.Election.Milliseconds())
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = embed.CompactorModePeriodic, o.Retention.String()
	cfg.QuotaBackendBytes = o.QuotaBytes
	// etcd keeps so many transactions in memory; its own 10,000 of up to 64 KiB
	// each would be more than the agent may use.
	cfg.SnapshotCount, cfg.SnapshotCatchUpEntries = 1000, 500
	// The client port speaks gRPC only; a web page that reaches loopback
	// through the browser finds nothing to talk to.
	cfg.EnableGRPCGateway = false
	cfg.CORS, cfg.HostWhitelist = map[string]struct{}{}, map[string]struct{}{client.Hostname(): {}}
	cfg.LogLevel = "error"
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(harmless(quiet(o.Logger)))
	return cfg
}

func (o EmbedOptions) initialCluster() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(o.Peers)) {
		all = append(all, name+"="+o.Peers[name])
	}
	return strings.Join(all, ",")
}
