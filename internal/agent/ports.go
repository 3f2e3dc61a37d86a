// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/cassandra"
	"supervisor/internal/store"
	"supervisor/isolate"
	"supervisor/loadbalancer"
	"supervisor/membership"
)

// Journal is the store as the desk uses it.
type Journal interface {
	Commit(ctx context.Context, t store.Txn) (store.Result, error)
	List(ctx context.Context, prefix string) ([]store.KV, int64, error)
	Watch(ctx context.Context, prefix string) <-chan store.Batch
	// Announce wants a key to stand for as long as this agent lives.
	Announce(key string, value []byte)
}

// RegionStore is the store of another region, which is only read.
type RegionStore interface {
	// Watch brings some folders whole and then what changes in them, and every few
	// seconds, while the store answers, an empty batch: nothing older is still to come.
	Watch(ctx context.Context, folders []string) <-chan store.Batch
	// Check is an error while the store does not answer, or is another than before;
	// follow tells whether such a one is gone over to.
	Check(ctx context.Context, follow func(store.Sight) bool) error
	// Seen is the ID of the etcd cluster that answers; empty: none did yet.
	Seen() string
}

// Election is how a control agent becomes the leader.
type Election interface {
	Campaign(ctx context.Context) (store.Term, <-chan struct{}, error)
	Resign(ctx context.Context) error
}

// Pulse asks the store how it does; it returns the answer's age in the store's
// own time and an error when it cannot be written now. store.ErrWentBack: it is
// not the one that is known, and may be looked at and followed.
type Pulse interface {
	Pulse(ctx context.Context) (took time.Duration, err error)
	// Refuses tells why a store that answers takes no writes; empty: it does.
	Refuses(ctx context.Context) (why string, err error)
	Look(ctx context.Context) (store.Sight, error)
	Follow(store.Sight) error
}

// Courier carries digests between agents. None of its methods wait.
type Courier interface {
	SendDigest(to []cluster.Name, digest []byte) error
	LookNow(to []cluster.Name, subject cluster.Name) error
	Ready() <-chan struct{}
	Take() (digests [][]byte, lookNow []cluster.Name)
	// Join names the hosts this agent wants to be with.
	Join(hosts []cluster.Host)
	// Unwell is true while this agent does not answer in time by its own measure.
	Unwell() bool
	// Clocks are the wall clocks of other agents against this one's, as far as they
	// were told in the last minutes.
	Clocks() map[cluster.Name]membership.Clock
}

// Observer looks at this node and its peers.
type Observer interface {
	// Ready is ready when an outcome changed; Looks are all looks as they stand.
	Ready() <-chan struct{}
	Looks() []membership.Look
	LookNow(subject cluster.Name)
	// Process is the boot of the own Cassandra process; empty while none runs. It
	// is never older than the looks read before it.
	Process() cluster.Boot
	// State is the newest word of the running Cassandra process about itself, and
	// how old it is; false when it has not said one.
	State() (cassandra.NodeState, time.Duration, bool)
	// Watch names the peers to look at; after an error it looks at those before.
	Watch(peers []cluster.Host) error
	// Unwell is true while the observer's own loop lags.
	Unwell() bool
	// Unwatched is why the disk under Cassandra's data could not be looked at the
	// last time; nil when it was looked at.
	Unwatched() error
}

// Process is a Cassandra process of this host.
type Process struct {
	PID  int
	Boot cluster.Boot
}

// ErrUncertain is a port's word that what it was to do goes on without it, and
// that nobody knows yet what comes of it.
var ErrUncertain = errors.New("not known how it ends")

// Unit starts, ends and finds the Cassandra process of this host. It is never
// a child of the agent. A Start that was cut off is ErrUncertain, and the next
// one waits for what it left at work.
type Unit interface {
	Running(ctx context.Context) (Process, bool, error)
	Start(ctx context.Context) error
	Kill(ctx context.Context, p Process) error
}

// Guarded is what a guard of ports read from the kernel. Standstill names the
// last time that the whole host stood still for longer than the guard's lease, while
// the guard refuses all clients for it; 0: it does not.
type Guarded struct {
	isolate.Closed
	Standstill uint64
}

// Ports is the guard of this host's ports. Close is done when what was wanted was
// read back. It ends the standstill with this number in the same moment: whoever
// says so has read the store since that was told; 0 ends none.
type Ports interface {
	Closed(ctx context.Context) (Guarded, error)
	Close(ctx context.Context, want isolate.Closed, standstill uint64, why string) (Guarded, error)
}

// ErrNotRun is in a power hook's error that nothing was begun with.
var ErrNotRun = errors.New("not run")

// Power is the site's hook that turns the power of hosts off. Off is done by its
// own word; Status is the look, and any error of it means that nobody knows.
type Power interface {
	Hosts() []cluster.Name
	Off(ctx context.Context, n cluster.Name) error
	Status(ctx context.Context, n cluster.Name) (off bool, err error)
}

// Admin is the admin interface of this host's Cassandra.
type Admin interface {
	State(ctx context.Context) (cassandra.NodeState, error)
	Settings(ctx context.Context) (cassandra.Settings, error)
	// Vitals with tables also looks at the size of every table.
	Vitals(ctx context.Context, tables bool) (cassandra.Vitals, error)
	// Writes are the write counters of all tables, by keyspace.table.
	Writes(ctx context.Context) (map[string]cassandra.TableWrites, error)
	// Load is how much it has to do.
	Load(ctx context.Context) (cassandra.Load, error)
	SetSeverity(ctx context.Context, v float64) error
	JoinRing(ctx context.Context) error
	StartNativeTransport(ctx context.Context) error
	StopNativeTransport(ctx context.Context) error
	Repair(ctx context.Context, keyspace string, o cassandra.RepairOptions) (cassandra.RepairResult, error)
	RepairStatus(ctx context.Context, cmd int) (cassandra.RepairStatus, error)
}

// Reader reads ring, schema and rows over CQL.
type Reader interface {
	// Schema asks the first of the addresses that answers.
	Schema(ctx context.Context, addresses []string, names map[string]cluster.Name) (cluster.Schema, error)
	// Compare reads at most max rows of a table at QUORUM through one address
	// and then at ONE through another; only counts come back.
	Compare(ctx context.Context, quorum, one, keyspace, table string, max int) (cassandra.Comparison, error)
}

// Proxy is the runtime interface of one proxy for one backend.
type Proxy interface {
	Apply(ctx context.Context, changes []loadbalancer.Change) error
	Read(ctx context.Context) ([]loadbalancer.Actual, error)
}

// Clock is the boot clock and the wall clock of this host.
type Clock interface {
	Now() cluster.Moment
	Wall() time.Time
}

// Counters are the metrics that only the loop can count.
type Counters interface {
	Committed(seconds float64)
	Settled(v incident.Verb, o incident.Outcome)
	Refused(r incident.Rule)
	Lag(seconds float64)
}
