// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"supervisor/internal/certs"
)

// Options are complete: nothing is defaulted later, so the log line that
// prints them is the truth. DefaultOptions fills in what has a good default.
type Options struct {
	Endpoints      []string      // client URLs of the members, at least one
	TLS            *certs.Keeper // asked at every handshake; nil: no TLS
	Prefix         string        // /supervisor/1/<cluster>/<region>/
	Name           string        // of this agent: the value of its leader key
	LeaseTTL       time.Duration // whole seconds, 2 s to 60 s: a dead client's keys stand so long
	DialTimeout    time.Duration // one attempt to connect
	RequestTimeout time.Duration // one request, from call to answer
	// WatchQueueMax bounds the batches that wait for one reader. A slower
	// reader is given everything anew instead.
	WatchQueueMax int
	// SeenRev is the highest revision this agent ever saw, kept on its own
	// disk, and SeenCluster the ID of the etcd cluster it saw it at; a store that
	// stands below it, or is another one, is not believed. 0: none.
	SeenRev     int64
	SeenCluster uint64
	Logger      *zap.Logger // the client library logs errors here
}

// DefaultOptions are the options of an agent called name that talks to the
// store at endpoints, without TLS.
func DefaultOptions(name, prefix string, endpoints ...string) Options {
	return Options{
		Endpoints: endpoints, Prefix: prefix, Name: name,
		LeaseTTL: 5 * time.Second, DialTimeout: 2 * time.Second, RequestTimeout: 3 * time.Second,
		WatchQueueMax: 256, Logger: zap.NewNop(),
	}
}

// check reports every fault at once.
func (o Options) check() error {
	var faults []error
	must := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	must(len(o.Endpoints) > 0, "endpoints: at least one is needed")
	for _, e := range o.Endpoints {
		must(e != "", "endpoints: an empty one")
	}
	must(strings.HasPrefix(o.Prefix, "/") && strings.HasSuffix(o.Prefix, "/") && len(o.Prefix) > 2,
		"prefix %q: begins and ends with a slash and is not only slashes", o.Prefix)
	must(o.Name != "", "name: empty")
	must(o.LeaseTTL >= 2*time.Second && o.LeaseTTL <= time.Minute && o.LeaseTTL%time.Second == 0,
		"lease TTL %v: whole seconds from 2 s to 60 s", o.LeaseTTL)
	must(o.DialTimeout > 0 && o.DialTimeout <= time.Minute, "dial time-out %v: above 0, at most 1 min", o.DialTimeout)
	must(o.RequestTimeout > 0 && o.RequestTimeout <= time.Minute, "request time-out %v: above 0, at most 1 min", o.RequestTimeout)
	must(o.WatchQueueMax >= 1 && o.WatchQueueMax <= 4096, "watch queue %d: 1 to 4096", o.WatchQueueMax)
	must(o.SeenRev >= 0, "seen revision %d: not below 0", o.SeenRev)
	must(o.Logger != nil, "logger: missing")
	return errors.Join(faults...)
}

// quiet lets only errors of the client library through: its warnings repeat
// what the returned errors say.
func quiet(l *zap.Logger) *zap.Logger {
	return l.Named("etcd").WithOptions(zap.IncreaseLevel(zapcore.ErrorLevel))
}
