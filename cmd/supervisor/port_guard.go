// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"os/user"
	"runtime"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"

	"supervisor/internal/api"
	"supervisor/isolate/nft"
)

// portGuard is what its unit says on the command line.
type portGuard struct {
	socket, file, user string
	clients, ring      []uint
}

func newPortGuardCommand() *cobra.Command {
	var o portGuard
	c := &cobra.Command{
		Use:   "port-guard",
		Short: "Close ports of this host as its agent wants it; the unit cassandra-supervisor-ports runs it",
		Long: "Holds nftables rules in a table of its own, inet " + nft.TableName + ": clients refused on the CQL port, and\n" +
			"fenced members of the ring cut off on the storage port. It decides nothing: the agent says over the socket\n" +
			"what is wanted. That is on the disk before it is in force, is put right when somebody changes the rules,\n" +
			"and stands again after a boot before Cassandra starts. Stopping it changes nothing.",
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
	c.AddCommand(o.show(), o.lift(), o.forget(file))
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
	g, err := nft.NewGuard(nft.Options{Ports: ports, File: o.file, May: o.may, Rules: nft.Kernel{}, Tell: func(line string) { log.Info(line) }})
	if err != nil {
		return failure{err: err, code: "USAGE", exit: exitUsage}
	}
	// Before it says that it is ready: Cassandra's start waits for that.
	g.Restore()
	l, err := nft.Listen(o.socket)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	told := make(chan struct{})
	go func() { defer close(told); tellSystemd(ctx, g.Progress, log) }()
	defer func() { cancel(); <-told }()
	return g.Serve(ctx, l)
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
			"and may close them again.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if reason == "" {
				return usage(c, errors.New("--reason is wanted: it stands in the guard's journal"))
			}
			r, err := nft.NewClient(o.socket).Apply(c.Context(), nft.State{}, reason)
			tellPorts(c.OutOrStdout(), r)
			return portsFailure(err, r.Stands)
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the journal")
	return c
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
