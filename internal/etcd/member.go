// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"bytes"
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

	"supervisor/internal/certs"
)

// EmbedOptions are complete; DefaultEmbedOptions fills in what has a good
// default.
type EmbedOptions struct {
	Dir  string // of this member alone; never on Cassandra's data disk in production
	Name string // of the control agent; with TLS also the common name of its certificate
	// Members are all, by control agent, this one included.
	Members map[string]MemberURLs
	// TLS secures both ports, with certificates asked of both sides. Without it
	// the member listens on loopback only.
	TLS *certs.Keeper
	// Token keeps members of different clusters from ever joining each other.
	Token string

	Heartbeat, Election time.Duration // whole milliseconds; election at least 5 heartbeats
	Retention           time.Duration // history older than this is compacted away
	QuotaBytes          int64         // of the database; above it nothing is written
	CloseMax            time.Duration // Close gives up waiting after this
	Logger              *zap.Logger   // errors of etcd go here
}

// MemberURLs are where one member listens.
type MemberURLs struct{ Client, Peer string }

// DefaultEmbedOptions are those of the member called name.
func DefaultEmbedOptions(name, dir string, members map[string]MemberURLs) EmbedOptions {
	return EmbedOptions{
		Dir: dir, Name: name, Members: members, Token: "supervisor",
		// An agent that leads and runs the member that leads may take both along.
		// Then the election takes 1 to 2 times this, the leader's lease runs on for
		// once more of it, and an heir is there within 9 s, also on a busy host.
		Heartbeat: 125 * time.Millisecond, Election: 1250 * time.Millisecond,
		Retention: time.Hour, QuotaBytes: 512 << 20, CloseMax: 15 * time.Second, Logger: zap.NewNop(),
	}
}

// Member is an etcd server inside this process.
type Member struct {
	o      EmbedOptions
	server *embed.Etcd
	ca     []byte // the authorities that it went by when it began
	once   sync.Once
	closed chan struct{}
}

// Open starts the member that was set up in the directory, without waiting
// for the others: a member of three serves when two of them run. ErrNoStore:
// the directory holds none. etcd ends the whole process when it cannot persist
// what it promised to; that is its contract, not an accident.
func Open(o EmbedOptions) (*Member, error) {
	if there, err := o.exists(); err != nil {
		return nil, err
	} else if !there {
		return nil, fmt.Errorf("%w: %s is empty", ErrNoStore, o.Dir)
	}
	return o.start(o.Name+"="+o.Members[o.Name].Peer, embed.ClusterStateFlagExisting)
}

// Bootstrap begins a new store with this one member, waits until it serves,
// and refuses a directory that holds one. The others join it with Join. It is
// for `store init` alone: a second bootstrap would be a second store.
func Bootstrap(ctx context.Context, o EmbedOptions) (*Member, error) {
	if there, err := o.exists(); err != nil {
		return nil, err
	} else if there {
		return nil, fmt.Errorf("%w: in %s", ErrStoreExists, o.Dir)
	}
	m, err := o.start(o.Name+"="+o.Members[o.Name].Peer, embed.ClusterStateFlagNew)
	if err != nil {
		return nil, err
	}
	return m.Await(ctx)
}

func (o EmbedOptions) start(initial, state string) (*Member, error) {
	cfg, err := o.config()
	if err != nil {
		return nil, fmt.Errorf("options of store member %s: %w", o.Name, err)
	}
	cfg.InitialCluster, cfg.ClusterState = initial, state
	ca, err := o.authorities()
	if err != nil {
		return nil, fmt.Errorf("start store member %s: %w", o.Name, err)
	}
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, fmt.Errorf("start store member %s in %s: %w", o.Name, o.Dir, err)
	}
	return &Member{o: o, server: server, ca: ca, closed: make(chan struct{})}, nil
}

func (o EmbedOptions) authorities() ([]byte, error) {
	if o.TLS == nil {
		return nil, nil
	}
	set, err := o.TLS.Current()
	if err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	return set.CA, nil
}

// Outdated tells whether the CA file was replaced since the member began: etcd
// reads certificate and key for every connection, and the authorities once.
func (m *Member) Outdated() bool {
	ca, err := m.o.authorities()
	return err == nil && !bytes.Equal(ca, m.ca)
}

// Ready waits until the member serves: it then knows of a majority.
func (m *Member) Ready(ctx context.Context) error {
	var err error
	select {
	case <-m.server.Server.ReadyNotify():
		return nil
	case err = <-m.server.Err():
	case <-m.server.Server.StopNotify():
		err = errors.New("it stopped")
	case <-ctx.Done():
		err = ctx.Err()
	}
	return fmt.Errorf("store member %s got ready: %w", m.o.Name, err)
}

// Await returns the member when it serves. One that does not before ctx ends is
// closed.
func (m *Member) Await(ctx context.Context) (*Member, error) {
	if err := m.Ready(ctx); err != nil {
		return nil, errors.Join(err, m.Close(context.WithoutCancel(ctx))) // Close bounds itself
	}
	return m, nil
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

// exists tells whether a member was set up in the directory.
func (o EmbedOptions) exists() (bool, error) {
	_, err := os.Stat(filepath.Join(o.Dir, "member", "wal"))
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, os.ErrNotExist):
		return false, nil
	}
	return false, fmt.Errorf("directory of store member %s: %w", o.Name, err)
}

// ErrNoStore tells that the member's directory is empty.
var ErrNoStore = errors.New("no store here")

// ErrStoreExists tells that there is a store already.
var ErrStoreExists = errors.New("there is a store already")

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
	own := o.Members[o.Name]
	client, err := o.url(own.Client)
	must(err == nil, "client URL: %v", err)
	peer, err := o.url(own.Peer)
	must(err == nil, "peer URL: %v", err)
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
	cfg.InitialClusterToken = o.Token
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
	if o.TLS != nil {
		cfg.ClientTLSInfo, cfg.PeerTLSInfo = server(o.TLS.Files()), server(o.TLS.Files())
		// Whoever joins the members' own talk could rewrite the store, so a
		// certificate of the site is not enough.
		cfg.PeerTLSInfo.AllowedCNs = slices.Sorted(maps.Keys(o.Members))
	}
	cfg.LogLevel = "error"
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(harmless(quiet(o.Logger)))
	return cfg
}
