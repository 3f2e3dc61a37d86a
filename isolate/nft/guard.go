// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of a guard.
const (
	// lookEvery is how long a hand's change, or a reload of the site's rules that
	// flushes ours, may last.
	lookEvery = 2 * time.Second
	// askedMax is how long one conversation may take.
	askedMax = 5 * time.Second
	// questionMax is more than the largest state takes.
	questionMax = 1 << 16
	// whyMax is a line of the journal.
	whyMax = 300
	// turnMax is more than a disk takes that still does anything.
	turnMax = 30 * time.Second
	// atOnceMax is how many may ask at once; an agent asks one at a time.
	atOnceMax = 8
)

// Rules is what a guard asks of the kernel.
type Rules interface {
	Apply(s State, l Lease, h Hold) (found []string, err error)
	Standing() (Standing, error)
	// Hold is called once a second by a goroutine that does nothing else.
	Hold(h Hold) error
	Release(alsoEnded bool) (released bool, err error)
}

// Options of a guard are complete.
type Options struct {
	Ports Ports                 // nothing else is ever closed
	File  string                // what is wanted, on this host's disk
	May   func(uid uint32) bool // who may ask, besides root
	Rules Rules
	Tell  func(line string) // what is worth a line in the journal

	Standstill time.Duration        // the lease against a host that stood still; 0: none
	Unasked    time.Duration        // after so long without a word the lease begins again
	Boot       func() time.Duration // the boot clock: it goes on while the host sleeps
}

// Guard makes stand what it was told last, also over its own end and that of the
// host. It decides nothing.
type Guard struct {
	o    Options
	turn chan struct{} // one thing at a time
	busy atomic.Int64  // since when, by the process's own clock; 0: nobody has a turn
	hold *keeper       // of the lease; nil: there is none

	wanted  *State // nil: not known, and then what stands is left alone
	unknown string // why it is not known
	trouble string // why it does not stand, as it was told last
}

// NewGuard checks the options and all that it needs to keep a state.
func NewGuard(o Options) (*Guard, error) {
	var faults []error
	if err := o.Ports.Check(); err != nil {
		faults = append(faults, err)
	}
	if !filepath.IsAbs(o.File) {
		faults = append(faults, fmt.Errorf("the file for what is wanted is %q, want an absolute path", o.File))
	}
	if o.May == nil || o.Rules == nil || o.Tell == nil {
		faults = append(faults, errors.New("a guard needs to know who may ask, its rules and its journal"))
	}
	faults = append(faults, o.leaseFaults()...)
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	g := &Guard{o: o, turn: make(chan struct{}, 1)}
	if o.Standstill != 0 {
		g.hold = newKeeper(o)
	}
	return g, nil
}

// Restore makes stand what is kept. It is called once and first: where it cannot,
// the guard answers all the same, and tries again.
func (g *Guard) Restore() {
	g.take()
	defer g.done()
	defer g.hold.begin()
	s, there, err := readKept(g.o.File, g.o.Ports)
	switch {
	case err != nil:
		g.unknown = err.Error()
	case !there:
		// Nothing was ever wanted here, unless somebody took the file away.
		if st, err := g.o.Rules.Standing(); err == nil && !st.Foreign && len(st.From(State{}, st.Lease)) > 0 {
			g.unknown = fmt.Sprintf("%s is gone, and there stand rules", g.o.File)
			break
		}
		g.wanted = &State{}
		if g.hold != nil {
			g.apply(false)
		}
		return
	default:
		g.wanted = &s
	}
	if g.wanted == nil {
		g.o.Tell(fmt.Sprintf("what is wanted is not known, and what stands is left alone: %s", g.unknown))
		return
	}
	g.o.Tell(fmt.Sprintf("wanted: %s", g.wanted))
	if found, ok := g.apply(false); ok && found != nil && !g.wanted.Empty() {
		g.o.Tell("it stands")
	}
}

func (g *Guard) take() {
	g.turn <- struct{}{}
	g.busy.Store(int64(time.Since(started)) + 1)
}

func (g *Guard) done() {
	g.busy.Store(0)
	<-g.turn
}

// apply makes what is wanted stand and tells of trouble that is new. With a word
// that the host is awake its lease begins in the same transaction.
func (g *Guard) apply(awake bool) (found []string, ok bool) {
	var err error
	if g.hold == nil {
		found, err = g.o.Rules.Apply(*g.wanted, Lease{}, Ended)
	} else {
		found, err = g.hold.apply(*g.wanted, awake)
	}
	trouble := ""
	if err != nil {
		trouble = err.Error()
	}
	if trouble != g.trouble && trouble != "" {
		g.o.Tell(trouble)
	}
	g.trouble = trouble
	return found, err == nil
}

// look puts right what a hand, or another program, did to the rules.
func (g *Guard) look() {
	g.take()
	defer g.done()
	if g.wanted == nil || g.wanted.Empty() && g.trouble == "" && g.hold == nil {
		return
	}
	if found, ok := g.apply(false); ok && found != nil {
		g.o.Tell("put right: " + strings.Join(found, "; "))
	}
}

// started is where busy counts from.
var started = time.Now()

// Progress tells whether the guard renews its lease and still takes turns. It
// waits for neither: a turn may wait for a disk, longer than the unit's watchdog
// does, and ending the guard would make no disk faster.
func (g *Guard) Progress(context.Context) error {
	if since := g.busy.Load(); since != 0 && time.Since(started)-time.Duration(since) > turnMax {
		return fmt.Errorf("a turn takes more than %s", turnMax)
	}
	return g.hold.progress()
}

// Serve answers on a socket, and looks after the rules and the lease, until the
// context ends. What stands then goes on standing, but for the lease, which would
// end and close.
func (g *Guard) Serve(ctx context.Context, l *net.UnixListener) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	looking := make(chan struct{})
	looks, cancel := context.WithCancel(ctx)
	stopKeeping := g.hold.keep()
	// It renews until the lease is away: who has the turn may take long.
	defer func() { cancel(); g.release(); stopKeeping(); <-looking }()
	go func() {
		defer close(looking)
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			select {
			case <-looks.Done():
				return
			case <-tick.C:
				g.look()
			}
		}
	}()
	slots := make(chan struct{}, atOnceMax)
	for {
		c, err := l.AcceptUnix()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ECONNABORTED):
			time.Sleep(10 * time.Millisecond)
			continue
		case err != nil:
			return fmt.Errorf("listen: %w", err)
		}
		peer, err := peerOf(c)
		if err != nil || peer.Uid != 0 && !g.o.May(peer.Uid) {
			// Before a byte of it is read, and without taking a place.
			g.reply(c, Report{Version: wireVersion, Code: CodeRefused, Error: "who asks is neither root nor the agent's user"})
			continue
		}
		select {
		case slots <- struct{}{}:
			go func() {
				defer func() { <-slots }()
				g.converse(c, peer)
			}()
		default:
			g.reply(c, Report{Version: wireVersion, Code: CodeFailed, Error: fmt.Sprintf("%d ask already", atOnceMax)})
		}
	}
}

// peerOf is who is at the other end, by the kernel's word.
func peerOf(c *net.UnixConn) (*unix.Ucred, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var peer *unix.Ucred
	var asked error
	err = raw.Control(func(fd uintptr) { peer, asked = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	return peer, errors.Join(err, asked)
}

// converse takes one question and gives one answer.
func (g *Guard) converse(c *net.UnixConn, peer *unix.Ucred) {
	if err := c.SetDeadline(time.Now().Add(askedMax)); err != nil {
		_ = c.Close()
		return
	}
	text, err := io.ReadAll(io.LimitReader(c, questionMax+1))
	if err != nil {
		_ = c.Close()
		return
	}
	g.reply(c, g.answer(text, peer))
}

// reply is at the end of every conversation.
func (g *Guard) reply(c *net.UnixConn, r Report) {
	defer c.Close()
	text, err := json.Marshal(r)
	if err != nil {
		g.o.Tell(fmt.Sprintf("answer: %v", err))
		return
	}
	if err := c.SetDeadline(time.Now().Add(askedMax)); err == nil {
		_, _ = c.Write(append(text, '\n')) // who went away hears nothing
	}
}

// answer does what a question asks for. It is durable before it is applied.
func (g *Guard) answer(text []byte, peer *unix.Ucred) Report {
	refused := func(err error) Report {
		return Report{Version: wireVersion, Code: CodeRefused, Error: err.Error()}
	}
	if len(text) > questionMax {
		return refused(fmt.Errorf("a question of more than %d bytes", questionMax))
	}
	var q question
	if err := decode(text, &q); err != nil {
		return refused(fmt.Errorf("read the question: %w", err))
	}
	if q.Version != wireVersion {
		return refused(fmt.Errorf("version %d, this guard speaks %d", q.Version, wireVersion))
	}
	if len(q.Why) > whyMax {
		return refused(fmt.Errorf("why has %d bytes, at most %d", len(q.Why), whyMax))
	}
	if q.Awake && q.Wanted == nil {
		return refused(errors.New("awake says nothing without what is wanted"))
	}
	g.take()
	defer g.done()
	g.hold.notice()
	if q.Wanted == nil {
		return g.report()
	}
	if q.Awake {
		if err := g.hold.hear(q.Standstill); err != nil {
			return refused(err)
		}
	}
	s, err := Canonical(*q.Wanted, g.o.Ports)
	if err != nil {
		return refused(err)
	}
	if g.wanted == nil || !g.wanted.Equal(s) {
		if err := writeKept(g.o.File, s); err != nil {
			return Report{Version: wireVersion, Code: CodeFailed, Error: err.Error()}
		}
		g.o.Tell(fmt.Sprintf("uid %d, pid %d wants: %s (%q)", peer.Uid, peer.Pid, s, q.Why))
		g.wanted, g.unknown = &s, ""
	}
	g.apply(q.Awake)
	return g.report()
}

// report is what stands, read now, beside what is wanted.
func (g *Guard) report() Report {
	r := Report{Version: wireVersion}
	st, err := g.o.Rules.Standing()
	r.Standing = st.State
	g.hold.tell(&r, st)
	switch {
	case err != nil:
		r.fail(err)
	case g.wanted == nil:
		r.Code, r.Error, r.Differs = CodeUnknown, g.unknown, st.Differs
	default:
		r.Wanted, r.Differs = *g.wanted, st.From(*g.wanted, g.hold.lease())
		r.Stands = len(r.Differs) == 0
		if st.Foreign {
			r.fail(ErrForeign)
		} else if !r.Stands && g.trouble != "" {
			r.Code, r.Error = CodeFailed, g.trouble
		}
	}
	return r
}

// Forget is for a host whose guard is taken away. It removes our table where
// nothing is wanted and a lift was not finished. Whatever is wanted, or stands and
// nobody knows why, is left as it is and told as an error.
func Forget(path string, rules Rules) error {
	// Nobody renews it any more, whatever else stays.
	_, released := rules.Release(true)
	if errors.Is(released, ErrUnavailable) || errors.Is(released, ErrForeign) {
		released = nil
	}
	return errors.Join(released, forget(path, rules))
}

func forget(path string, rules Rules) error {
	s, there, err := readKept(path, Ports{})
	if err != nil {
		return fmt.Errorf("%w; what stands is left alone", err)
	}
	if !s.Empty() {
		return fmt.Errorf("%s: this stays in force until the host starts again, or until it is removed by hand: nft delete table inet %s", s, TableName)
	}
	st, err := rules.Standing()
	switch {
	case errors.Is(err, ErrUnavailable):
		return nil // where no rules can be made none stand
	case err != nil:
		return err
	case st.Foreign:
		return ErrForeign
	case !there && len(st.From(s, Lease{})) > 0:
		return fmt.Errorf("%s is gone, and there stands: %s; it is left alone", path, st.State)
	}
	_, err = rules.Apply(s, Lease{}, Ended)
	return err
}

// Listen opens the socket of a guard, in place of one that an earlier guard left.
// Everybody may connect; the kernel says who does.
func Listen(path string) (*net.UnixListener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", path, err), l.Close())
	}
	return l, nil
}
