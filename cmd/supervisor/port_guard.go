// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"os/user"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"supervisor/internal/api"
	"supervisor/isolate/nft"
)

// portGuard is what its unit says on the command line.
type portGuard struct {
	socket, file, user  string
	clients, ring       []uint
	standstill, unasked time.Duration
}

func newPortGuardCommand() *cobra.Command {
	var o portGuard
	c := &cobra.Command{
		Use:   "port-guard",
		Short: "Close ports of this host as its agent wants it; the unit cassandra-supervisor-ports runs it",
		Long: "Holds nftables rules in a table of its own, inet " + nft.TableName + ": clients refused on the CQL port, and\n" +
			"fenced members of the ring cut off on the storage port. It decides nothing: the agent says over the socket\n" +
			"what is wanted. That is on the disk before it is in force, is put right when somebody changes the rules,\n" +
			"and stands again after a boot before Cassandra starts. Stopping it changes nothing of that.\n\n" +
			"With --standstill the CQL port is also closed by the kernel when this guard has not renewed a lease for so\n" +
			"long: a host that was frozen answers nobody when it goes on, until its agent has read the store. Whatever\n" +
			"ends a guard takes the lease away; only a guard and a systemd that both stand still let it end.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return o.run(ctx)
		},
	}
	c.PersistentFlags().StringVar(&o.socket, "socket", nft.SocketPath, "where the agent asks")
	file := func(c *cobra.Command) {
		c.Flags().StringVar(&o.file, "file", "/var/lib/cassandra-supervisor-ports/wanted.json", "what is wanted, over the end of the guard and the host")
	}
	file(c)
	c.Flags().StringVar(&o.user, "user", "cassandra", "the agent's user, by name or number; root may ask too")
	c.Flags().UintSliceVar(&o.clients, "cql-port", []uint{9042}, "ports of CQL; no others are refused to clients")
	c.Flags().UintSliceVar(&o.ring, "storage-port", []uint{7000}, "ports of the ring; no others are cut off from its members")
	c.Flags().DurationVar(&o.standstill, "standstill", 0, "close the CQL port when nobody has renewed its lease for so long, 5s to 10m; 0: never")
	c.Flags().DurationVar(&o.unasked, "unasked", time.Minute, "after a standstill, open again when no agent has spoken for so long")
	c.AddCommand(o.show(), o.lift(), o.release(), o.forget(file))
	return c
}

func (o *portGuard) run(ctx context.Context) error {
	log, err := newLogger("info")
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }()
	runtime.GOMAXPROCS(1) // it works for moments; see runAgent
	ports, err := o.ports()
	if err != nil {
		return err
	}
	g, err := nft.NewGuard(nft.Options{Ports: ports, File: o.file, May: o.may, Rules: nft.Kernel{}, Tell: func(line string) { log.Info(line) },
		Standstill: o.standstill, Unasked: o.unasked, Boot: nft.Boot})
	if err != nil {
		return failure{err: err, code: "USAGE", exit: exitUsage}
	}
	// Before a lease begins that one who cannot listen would leave to its end.
	l, err := nft.Listen(o.socket)
	if err != nil {
		return err
	}
	if o.standstill != 0 {
		stayInMemory(log)
		go abort(g, log)
	}
	// Before it says that it is ready: Cassandra's start waits for that.
	g.Restore()
	ctx, cancel := context.WithCancel(ctx)
	told := make(chan struct{})
	go func() { defer close(told); tellSystemd(ctx, g.Progress, log) }()
	defer func() { cancel(); <-told }()
	return g.Serve(ctx, l)
}

// abort is what the unit's watchdog does. Of a guard that hangs it shows where, as
// without this; after a standstill, when systemd found it late before it could say
// a word, there is nothing to show. Both end: only systemd can start the next.
func abort(g *nft.Guard, log *zap.Logger) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGABRT)
	<-asked
	still := g.StoodStill()
	for range 10 {
		if still || g.Progress(context.Background()) == nil {
			log.Info("the watchdog of a systemd that stood still too ends this guard; the next one goes on")
			os.Exit(exitFailed)
		}
		time.Sleep(100 * time.Millisecond) // within that it is on time again, or it hangs
	}
	signal.Reset(syscall.SIGABRT)
	_ = syscall.Kill(os.Getpid(), syscall.SIGABRT)
}

// stayInMemory keeps what the guard has touched from being written to a disk or
// read from it again: a host whose memory is short, or whose root disk hangs, still
// serves clients, and a guard that waits for a page of its own program would not
// renew their lease. It is no fault where the host does not allow that, and not
// tried where it does so up to some size, beyond which the program could not grow.
func stayInMemory(log *zap.Logger) {
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit)
	switch {
	case err != nil:
	case limit.Cur != unix.RLIM_INFINITY:
		err = fmt.Errorf("%d bytes may be locked, and all would have to be", limit.Cur)
	default:
		err = unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT)
	}
	if err != nil {
		log.Info("the guard's memory is not held, and it may wait for a disk", zap.Error(err))
	}
}

func (o *portGuard) ports() (nft.Ports, error) {
	var p nft.Ports
	narrow := func(from []uint, into *[]uint16) error {
		for _, port := range from {
			if port == 0 || port > 65535 {
				return failure{err: fmt.Errorf("%d is no port", port), code: "USAGE", exit: exitUsage}
			}
			*into = append(*into, uint16(port))
		}
		return nil
	}
	err := errors.Join(narrow(o.clients, &p.Clients), narrow(o.ring, &p.Ring))
	return p, err
}

// may finds the agent's user each time: it may be made after the guard started.
func (o *portGuard) may(uid uint32) bool {
	number := strconv.FormatUint(uint64(uid), 10)
	if o.user == number {
		return true
	}
	u, err := user.Lookup(o.user)
	return err == nil && u.Uid == number
}

func (o *portGuard) show() *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Say what is wanted of this host's ports and whether it stands; as root or the agent's user",
		Long:  "Exit 0: exactly what is wanted stands. Exit 1: it does not, and what differs is said.",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := nft.NewClient(o.socket).Standing(c.Context())
			tellPorts(c.OutOrStdout(), r)
			return portsFailure(err, r.Stands)
		},
	}
}

func (o *portGuard) lift() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "lift --reason R",
		Short: "Open all ports again, also without an agent; as root or the agent's user",
		Long: "For a person on the host when nothing else can. An agent that runs goes on from what its leader wants\n" +
			"and may close them again. It is also the word that a host which stood still is awake.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if reason == "" {
				return usage(c, errors.New("--reason is wanted: it stands in the guard's journal"))
			}
			r, err := nft.NewClient(o.socket).Awake(c.Context(), nft.State{}, 0, reason)
			tellPorts(c.OutOrStdout(), r)
			return portsFailure(err, r.Stands)
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the journal")
	return c
}

func (o *portGuard) release() *cobra.Command {
	return &cobra.Command{
		Use:   "release",
		Short: "Take away the lease of a guard that has ended, and nothing else; its unit runs this, no guard is asked",
		Long: "Without this, or another guard within the time of the lease, the CQL port would close. What is wanted stays.\n" +
			"Where systemd says in $SERVICE_RESULT that the guard was killed, a lease that has ended already is left: a guard\n" +
			"and a systemd that both came too late were on a host that stood still, and the next guard waits for the\n" +
			"agent's word. Run it as root by hand, without that variable, to open in any case.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			result := os.Getenv("SERVICE_RESULT")
			released, err := nft.Kernel{}.Release(result == "" || result == "success")
			switch {
			case errors.Is(err, nft.ErrUnavailable), errors.Is(err, nft.ErrForeign):
				return nil // there is none of ours
			case err != nil:
				return failure{err: err, code: "PORTS_FAILED", exit: exitFailed}
			case !released:
				fmt.Fprintln(c.OutOrStdout(), "the lease had ended: this host stood still, and its CQL port stays closed until the next guard hears a word")
			}
			return nil
		},
	}
}

func (o *portGuard) forget(file func(*cobra.Command)) *cobra.Command {
	c := &cobra.Command{
		Use:   "forget",
		Short: "Leave nothing behind where nothing is wanted; for the package's removal, after the guard was stopped",
		Long:  "Exit 3: something is wanted, or stands and nobody knows why. It is left as it is.",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := nft.Forget(o.file, nft.Kernel{}); err != nil {
				return failure{err: err, code: "PORTS_CLOSED", exit: exitRefused}
			}
			return nil
		},
	}
	file(c)
	return c
}

// tellPorts says a report, once there is one.
func tellPorts(out io.Writer, r nft.Report) {
	if r.Version == 0 || r.Code == nft.CodeRefused {
		return
	}
	if r.Code != nft.CodeUnknown {
		fmt.Fprintf(out, "wanted: %s\n", r.Wanted)
	}
	fmt.Fprintf(out, "stands: %s\n", r.Standing)
	for _, line := range r.Differs {
		fmt.Fprintf(out, "  %s\n", line)
	}
	tellLease(out, r)
}

func tellLease(out io.Writer, r nft.Report) {
	span := func(ms int64) time.Duration {
		return (time.Duration(ms) * time.Millisecond).Round(100 * time.Millisecond)
	}
	if l := r.Lease; l != nil {
		now := "runs"
		if !l.Held {
			now = "has ended: clients are refused, whatever is wanted"
		}
		fmt.Fprintf(out, "lease against a standstill: %s, %s\n", span(l.ForMS), now)
		if l.Alone {
			fmt.Fprintln(out, "  after the last standstill nobody said that this host is awake; the lease was begun without a word")
		}
	}
	if s := r.Standstill; s != nil {
		lasted := "for an unknown time"
		if s.LastedMS > 0 {
			lasted = "for " + span(s.LastedMS).String()
		}
		fmt.Fprintf(out, "this host stood still %s, which was noticed %s ago; it opens by the agent's word, or in %s\n", lasted, span(s.NoticedMS), span(s.UnaskedMS))
	}
}

func portsFailure(err error, stands bool) error {
	switch {
	case errors.Is(err, nft.ErrRefused):
		return failure{err: err, code: "PORTS_REFUSED", exit: exitRefused}
	case errors.Is(err, nft.ErrNoGuard):
		return failure{err: err, code: "PORTS_NO_GUARD", exit: api.ExitUnreachable}
	case err != nil:
		return failure{err: err, code: "PORTS_FAILED", exit: exitFailed}
	case !stands:
		return failure{err: errors.New("what is wanted does not stand"), code: "PORTS_DIFFER", exit: exitFailed}
	}
	return nil
}
