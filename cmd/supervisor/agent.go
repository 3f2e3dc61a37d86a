// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/agent"
	"supervisor/internal/api"
	"supervisor/internal/cassandra"
	"supervisor/internal/certs"
	"supervisor/internal/etcd"
	"supervisor/internal/settings"
	"supervisor/internal/store"
	"supervisor/membership/gossip"
	"supervisor/membership/probe"
)

func newAgentCommand() *cobra.Command {
	var config string
	c := &cobra.Command{
		Use:   "agent --config FILE",
		Short: "Run the agent of this host",
		Long: "Runs until it is told to stop. Stopping it changes nothing: Cassandra, pools and standing\n" +
			"fences stay as they are.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return runAgent(ctx, config)
		},
	}
	c.Flags().StringVar(&config, "config", "/etc/cassandra-supervisor/agent.yaml", "the agent's file")
	return c
}

// runAgent puts an agent together from its file and runs it. Whatever was
// opened is closed again, also when a later part cannot be opened.
func runAgent(ctx context.Context, config string) error {
	cfg, err := settings.ReadAgent(config)
	if err != nil {
		return inFile(err)
	}
	if err := impossible(config, cfg, time.Now()); err != nil {
		return err
	}
	log, err := newLogger(cfg.Log.Level)
	if err != nil {
		return err
	}
	log = log.With(zap.String("agent", string(cfg.Host.Name)))
	if _, runs := cfg.Member(); !runs {
		// Such an agent uses a hundredth of a core in short moments. With one at a
		// time the runtime does not wake a second thread at each of them to look
		// for more work: a fifth less of the processor at rest, measured.
		runtime.GOMAXPROCS(1)
	}
	defer func() { _ = log.Sync() }()
	j := &joinery{cfg: cfg, log: log, counters: api.NewCounters(), certs: keeper(cfg), door: doorKeeper(cfg), besides: besides(cfg), member: func() string { return "" },
		outdated: func() bool { return false }}
	defer j.close()
	a, err := j.agent(ctx)
	if err != nil {
		log.Error("agent does not start", zap.Error(err))
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- j.serve(ctx, a) }()
	ran := make(chan error, 1)
	go func() { ran <- a.Run(ctx) }()
	told := make(chan struct{})
	go func() { defer close(told); tellSystemd(ctx, a.Progress, log) }()
	defer func() { <-told }()
	select {
	case err = <-served:
		cancel()
		<-ran
		return err
	case err = <-ran:
		cancel()
		return errors.Join(err, <-served)
	}
}

func newLogger(level string) (*zap.Logger, error) {
	l, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("log level: %w", err)
	}
	enc := zap.NewProductionEncoderConfig()
	enc.EncodeTime = zapcore.TimeEncoder(func(t time.Time, e zapcore.PrimitiveArrayEncoder) { e.AppendString(incident.Stamp(t)) })
	enc.TimeKey = "at"
	core := zapcore.NewCore(zapcore.NewJSONEncoder(enc), newLogBuffer(os.Stderr), l)
	return zap.New(core), nil
}

// joinery opens the parts of an agent and remembers how to close them.
type joinery struct {
	cfg      settings.Agent
	log      *zap.Logger
	closers  []func()
	trouble  []incident.Trouble
	closed   string
	certs    *certs.Keeper // of the files of store.tls; nil: none
	lacking  string        // what the last look found wrong with them
	door     *certs.Keeper // of the files of api.tls; nil: nobody asks over the network
	besides  []*kept       // the files of api.tls and of other regions' stores
	member   func() string // why the store's member here does not run
	outdated func() bool   // it goes by another CA file than stands there
	counters *api.Counters
	refused  func() []string // servers of the store with whom no handshake succeeds
	// strangers are those whose gossip cannot be read.
	strangers func() []gossip.Stranger
}

// closeMax bounds a clean stop, each part for itself.
const closeMax = 5 * time.Second

func (j *joinery) close() {
	for i := len(j.closers) - 1; i >= 0; i-- {
		j.closers[i]()
	}
}

func (j *joinery) agent(ctx context.Context) (*agent.Agent, error) {
	cfg := j.cfg
	key, err := settings.HostKey(cfg.StateDir)
	if err != nil {
		return nil, err
	}
	disk, err := agent.NewDisk(cfg.StateDir)
	if err != nil {
		j.stateDirBroken(err)
	}
	seen, err := disk.Horizon()
	if err != nil {
		return nil, fmt.Errorf("what this agent knew of the store, see docs/hosts.md: %w", err)
	}
	client, err := j.store(ctx, seen)
	if err != nil {
		return nil, err
	}
	regions, err := j.regions()
	if err != nil {
		return nil, err
	}
	g, err := j.gossip()
	if err != nil {
		return nil, err
	}
	u, end, err := serviceOf(cfg.Cassandra)
	if err != nil {
		return nil, err
	}
	j.closers = append(j.closers, end)
	admin := cassandra.NewAdmin(cfg.Cassandra.Jolokia, cassandra.DefaultAdminOptions())
	j.closers = append(j.closers, admin.Close)
	credentials, err := j.credentials()
	if err != nil {
		return nil, err
	}
	look, err := j.observer(ctx, unit{u}, admin)
	if err != nil {
		return nil, err
	}
	turnsOff, err := powerOf(cfg.Power)
	if err != nil {
		return nil, err
	}
	cql := cassandra.SessionOptions{Timeout: 2 * time.Second, Credentials: credentials}
	return agent.New(agent.Options{
		Cluster: cfg.Cluster, Region: cfg.Region, Self: cfg.Host.Name, Boot: newBoot(), Version: version(), Key: key,
		Control: cfg.ControlAgents, Disk: disk, Closed: j.closed, Member: j.member, Around: j.around, Trouble: j.trouble,
		Horizon: seen, Seen: seenBy(client), Regions: regions,
		Journal: client, Election: client, Pulse: client, Courier: g, Observer: look,
		Unit: unit{u}, Ports: portsOf(cfg.Cassandra), Power: turnsOff, Admin: admin, Reader: reader{cql}, Holdings: holdings{admin, cfg.Cassandra.CQL, cql},
		Space:   func() (agent.Space, error) { return spaceOf(cfg.Cassandra.DataDir) },
		Proxies: newProxy, Clock: agent.BootClock{}, Counters: j.counters, Log: j.log,
	}), nil
}

// around is asked now and then for what the agent's parts see wrong.
func (j *joinery) around() (found []incident.Trouble) {
	if unread := strangersTold(j.strangers()); unread != "" {
		found = append(found, incident.Trouble{Code: "GOSSIP_UNREAD", Args: map[string]string{"detail": unread}})
	}
	if j.certs != nil {
		if refused := j.refused(); len(refused) > 0 {
			found = append(found, incident.Trouble{Code: "STORE_SERVER_REFUSED", Args: map[string]string{"detail": strings.Join(refused, "; ")}})
		}
		found = append(found, certTroubles(settled(j.certs.State(), &j.lacking))...)
	}
	for _, k := range j.besides {
		found = withMore(found, settled(k.State(), &k.lacking))
	}
	if j.certs != nil && j.outdated() {
		found = append(found, incident.Trouble{Code: "STORE_MEMBER_OLD_CA", Args: map[string]string{"file": j.certs.Files().CA}})
	}
	return found
}

// strangersMax bounds the hosts that one finding names; the rest is counted.
const strangersMax = 3

func strangersTold(all []gossip.Stranger) string {
	var named []string
	for _, s := range all[:min(strangersMax, len(all))] {
		named = append(named, fmt.Sprintf("%s: %s", s.At, s.Why))
	}
	told := strings.Join(named, "; ")
	if more := len(all) - strangersMax; more > 0 {
		told += fmt.Sprintf("; and %d more", more)
	}
	return told
}

func (j *joinery) stateDirBroken(err error) {
	j.closed = "the state directory cannot be written: " + err.Error()
	j.trouble = append(j.trouble, incident.Trouble{Code: "STATE_DIR_UNWRITABLE",
		Args: map[string]string{"path": j.cfg.StateDir}})
}

// store starts the embedded member, when this agent has one, and dials.
func (j *joinery) store(ctx context.Context, seen agent.Horizon) (*etcd.Store, error) {
	if o, runs := embedOptions(j.cfg, j.log); runs {
		o.TLS = j.certs
		k := keepMember(o, j.log)
		j.closers, j.member, j.outdated = append(j.closers, k.close), k.Why, k.Outdated
		if sameDisk(o.Dir, j.cfg.Cassandra.DataDir) {
			j.trouble = append(j.trouble, incident.Trouble{Code: "STORE_SHARES_DISK"})
		}
	}
	so, err := storeOptions(j.cfg, seen)
	if err != nil {
		return nil, err
	}
	so.TLS, so.Logger = j.certs, j.log
	client, err := dial(so)
	if err != nil {
		return nil, err
	}
	j.refused = client.Refused
	j.closers = append(j.closers, func() {
		cctx, cancel := context.WithTimeout(context.Background(), closeMax)
		defer cancel()
		_ = client.Close(cctx)
	})
	return client, nil
}

// dialStore makes the client of a store that must not stand before what was
// seen of it.
func dialStore(cfg settings.Agent, seen agent.Horizon, log *zap.Logger) (*etcd.Store, error) {
	o, err := storeOptions(cfg, seen)
	if err != nil {
		return nil, err
	}
	o.Logger = log
	return dial(o)
}

func dial(o etcd.Options) (*etcd.Store, error) {
	client, err := etcd.Dial(o)
	if err != nil {
		return nil, fmt.Errorf("reach the store: %w", err)
	}
	return client, nil
}

func storeOptions(cfg settings.Agent, seen agent.Horizon) (etcd.Options, error) {
	o := etcd.DefaultOptions(string(cfg.Host.Name), store.Prefix(cfg.Cluster, cfg.Region), cfg.Store.Endpoints...)
	o.TLS = keeper(cfg)
	o.SeenRev = seen.Rev
	id, err := store.EtcdClusterID(seen.EtcdCluster)
	if err != nil {
		return o, fmt.Errorf("the etcd cluster that this agent knew: %w", err)
	}
	o.SeenCluster = id
	return o, nil
}

// regions makes the readers of the other regions' stores.
func (j *joinery) regions() (map[cluster.Region]agent.RegionStore, error) {
	readers := make(map[cluster.Region]agent.RegionStore, len(j.cfg.Regions))
	for r, e := range j.cfg.Regions {
		o := etcd.DefaultOptions(string(j.cfg.Host.Name), store.Prefix(j.cfg.Cluster, r), e.Endpoints...)
		o.TLS, o.Logger = keeperAbroad(j.cfg, e), j.log
		reader, err := etcd.DialReader(o)
		if err != nil {
			return nil, fmt.Errorf("reach the store of region %s: %w", r, err)
		}
		j.closers = append(j.closers, func() { _ = reader.Close() })
		readers[r] = reader
	}
	return readers, nil
}

func seenBy(client *etcd.Store) func() (string, int64) {
	return func() (string, int64) {
		id, rev := client.Seen()
		return store.EtcdCluster(id), rev
	}
}

// sameDisk tells whether two directories stand on one device.
func sameDisk(a, b string) bool {
	x, xerr := device(a)
	y, yerr := device(b)
	return xerr == nil && yerr == nil && x == y
}

// device is the disk on which path stands, or will stand when it is made.
func device(path string) (uint64, error) {
	var st syscall.Stat_t
	err := syscall.Stat(path, &st)
	if errors.Is(err, syscall.ENOENT) && path != filepath.Dir(path) {
		return device(filepath.Dir(path))
	}
	return st.Dev, err
}

// spaceOf is the room on the disk under a directory. What is kept for root is
// neither used nor free.
func spaceOf(dir string) (agent.Space, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return agent.Space{}, fmt.Errorf("look at the room of %s: %w", dir, err)
	}
	return agent.Space{Used: int64(st.Blocks-st.Bfree) * st.Bsize, Free: int64(st.Bavail) * st.Bsize}, nil
}

func (j *joinery) gossip() (*gossip.Gossip, error) {
	bind, err := netip.ParseAddrPort(j.cfg.Gossip.Bind)
	if err != nil {
		return nil, fmt.Errorf("gossip.bind: %w", err)
	}
	var allowed []netip.Prefix
	for _, n := range j.cfg.Gossip.Networks {
		p, err := netip.ParsePrefix(n)
		if err != nil {
			return nil, fmt.Errorf("gossip.networks: %w", err)
		}
		allowed = append(allowed, p)
	}
	o := gossip.DefaultOptions(j.cfg.Host.Name, j.cfg.Cluster, j.cfg.Region, bind, j.cfg.Gossip.KeyFile, allowed...)
	o.Logger = j.log
	g, err := gossip.Start(o)
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	j.closers, j.strangers = append(j.closers, func() { _ = g.Close() }), g.Strangers
	j.counters.CountMail(func() uint64 { d := g.Dropped(); return d.Overflow + d.Malformed })
	return g, nil
}

func (j *joinery) credentials() (cassandra.Credentials, error) {
	if j.cfg.Cassandra.CredentialsFile == "" {
		return cassandra.Credentials{}, nil
	}
	return cassandra.ReadCredentials(j.cfg.Cassandra.CredentialsFile)
}

func (j *joinery) observer(ctx context.Context, u unit, admin *cassandra.Admin) (*observer, error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	clock := agent.BootClock{}
	o, err := newObserver(ctx, func(peers []probe.Target) (*probe.Probe, error) {
		return probe.New(probe.Options{
			Own:   probe.Target{Name: j.cfg.Host.Name, CQL: j.cfg.Cassandra.CQL, Storage: j.cfg.Cassandra.Storage},
			Peers: peers, Process: u, Admin: admin, DataDir: j.cfg.Cassandra.DataDir, Now: clock.Now, Pace: probe.DefaultPace(),
			Looked: j.counters.Looked,
		})
	})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("observe: %w", err)
	}
	j.closers = append(j.closers, func() { cancel(); o.end() })
	return o, nil
}

// newBoot names this start of the agent.
func newBoot() cluster.Boot {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic("no randomness: " + err.Error()) // crypto/rand ends the process itself before it returns an error
	}
	return cluster.Boot(hex.EncodeToString(b[:]))
}

// serve answers commands on the unix socket, and over the network where the file
// says so, until ctx ends.
func (j *joinery) serve(ctx context.Context, a *agent.Agent) error {
	s, err := api.NewServer(api.Options{Socket: j.cfg.API.Socket, Group: j.cfg.API.Group, Remote: j.remote(), Source: a, ReadPolicy: readPolicy,
		Counters: j.counters, Log: j.log})
	if err != nil {
		return fmt.Errorf("api socket: %w", err)
	}
	return s.Serve(ctx)
}

// readPolicy reads a document that came over the socket, with every fault.
func readPolicy(document []byte, hosts []cluster.Host) (incident.Policy, []api.Fault) {
	p, err := settings.ParsePolicy("policy", document, hosts)
	if err == nil {
		p.Hash = settings.Hash(p)
		return p, nil
	}
	var faults settings.Faults
	if !errors.As(err, &faults) {
		return p, []api.Fault{{What: err.Error()}}
	}
	var out []api.Fault
	for _, f := range faults.Faults {
		out = append(out, api.Fault{At: place(f), Path: f.Path, What: f.What})
	}
	return p, out
}

// place is where a fault stands, as line:column.
func place(f settings.Fault) string {
	if f.Line == 0 {
		return ""
	}
	return fmt.Sprintf("%d:%d", f.Line, f.Col)
}
