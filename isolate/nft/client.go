// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// wireVersion is that of the words on the socket and of the file. Both ends are
// of one package; one of another version is refused.
const wireVersion = 1

// SocketPath is where the package's unit listens.
const SocketPath = "/run/cassandra-supervisor-ports/socket"

// question is what a guard is asked. Without Wanted it is only looked.
type question struct {
	Version int    `json:"version"`
	Wanted  *State `json:"wanted,omitempty"`
	Why     string `json:"why,omitempty"` // for the journal
	// Awake says that whoever wants this has read what happened while the host
	// stood still; Standstill is the number of that, 0 for whichever there is.
	Awake      bool   `json:"awake,omitempty"`
	Standstill uint64 `json:"standstill,omitempty"`
}

// Report is a guard's answer: what it was told last, and what stands.
type Report struct {
	Version int `json:"version"`
	// Wanted is kept on the disk and stands again after a boot.
	Wanted State `json:"wanted"`
	// Standing was read from the kernel for this answer.
	Standing State `json:"standing"`
	// Stands is true if exactly what is wanted was found there.
	Stands bool `json:"stands"`
	// Differs is all in which it was not.
	Differs []string `json:"differs,omitempty"`
	// StoodStill is true while the lease has ended: clients are refused, whatever
	// is wanted, until the guard hears that somebody is awake. Read the store, then
	// say so with Client.Awake.
	StoodStill bool        `json:"stood_still,omitempty"`
	Standstill *Standstill `json:"standstill,omitempty"`
	// Lease tells of the lease of a guard that holds one.
	Lease *LeaseReport `json:"lease,omitempty"`
	Code  string       `json:"code,omitempty"`
	Error string       `json:"error,omitempty"`
}

// Standstill is one time that this host did nothing for longer than its lease.
type Standstill struct {
	Number    uint64 `json:"number"`              // names it in an awake word
	LastedMS  int64  `json:"lasted_ms,omitempty"` // from the last renewal on; none: an earlier guard knew
	NoticedMS int64  `json:"noticed_ms"`          // so long ago the guard found out
	UnaskedMS int64  `json:"unasked_ms"`          // so long until it opens without a word
}

// LeaseReport is a lease as it was found.
type LeaseReport struct {
	ForMS int64 `json:"for_ms"` // it ends so long after a renewal
	// Held was read from the kernel for this answer: the lease runs.
	Held bool `json:"held"`
	// Alone is true after the guard had to begin it again without a word.
	Alone bool `json:"alone,omitempty"`
}

// The codes of a report with an error.
const (
	CodeRefused     = "refused"     // the question; nothing was changed
	CodeForeign     = "foreign"     // a table of our name is somebody else's
	CodeUnavailable = "unavailable" // no rules can be made here
	CodeUnknown     = "unknown"     // what was wanted cannot be read any more; what stands is left
	CodeFailed      = "failed"      // anything else
)

// What went wrong, for callers that care. ErrForeign and ErrUnavailable are
// among them.
var (
	ErrRefused = errors.New("the guard refuses")
	ErrUnknown = errors.New("the guard does not know what is wanted")
	ErrNoGuard = errors.New("no guard answers; is cassandra-supervisor-ports.service started?")
)

var codes = []struct {
	code string
	err  error
}{
	{CodeRefused, ErrRefused}, {CodeForeign, ErrForeign}, {CodeUnavailable, ErrUnavailable}, {CodeUnknown, ErrUnknown},
}

// fail says an error in the report.
func (r *Report) fail(err error) {
	r.Stands, r.Code, r.Error = false, CodeFailed, err.Error()
	for _, c := range codes {
		if errors.Is(err, c.err) {
			r.Code = c.code
		}
	}
}

// told is a report's error with its kind.
type told struct {
	kind error
	text string
}

func (t told) Error() string { return t.text }
func (t told) Unwrap() error { return t.kind }

func (r Report) failure() error {
	if r.Code == "" {
		return nil
	}
	for _, c := range codes {
		if c.code == r.Code {
			return told{c.err, fmt.Sprintf("%s: %s", r.Code, r.Error)}
		}
	}
	return fmt.Errorf("%s: %s", r.Code, r.Error)
}

// Client asks the guard of this host.
type Client struct {
	Socket string
	Max    time.Duration // for one question, with its answer
}

// NewClient asks at a socket, for as long as the guard listens to one question.
func NewClient(socket string) Client { return Client{Socket: socket, Max: askedMax} }

// Apply makes exactly a state stand; the empty one lifts all. It is on the
// guard's disk when this returns without an error, and was read back. With an
// error it may stand, or may stand later: look. Why goes to the guard's journal.
// While the host stood still it says nothing about clients: see Report.StoodStill.
func (c Client) Apply(ctx context.Context, s State, why string) (Report, error) {
	return c.stand(ctx, question{Version: wireVersion, Wanted: &s, Why: why})
}

// Awake is Apply with the word that whoever asks has read, after the standstill
// of that number was told, what it missed: the lease runs again from the same
// moment on. A word about an earlier standstill is refused and changes nothing;
// without any standstill it is Apply. A person who has looked gives number 0.
func (c Client) Awake(ctx context.Context, s State, standstill uint64, why string) (Report, error) {
	return c.stand(ctx, question{Version: wireVersion, Wanted: &s, Why: why, Awake: true, Standstill: standstill})
}

func (c Client) stand(ctx context.Context, q question) (Report, error) {
	r, err := c.ask(ctx, q)
	if err == nil && !r.Stands {
		err = errors.New("it does not stand")
	}
	if err != nil {
		return r, fmt.Errorf("have %s stand: %w", q.Wanted, err)
	}
	return r, nil
}

// Standing looks what stands, and changes nothing.
func (c Client) Standing(ctx context.Context) (Report, error) {
	r, err := c.ask(ctx, question{Version: wireVersion})
	if err != nil {
		return r, fmt.Errorf("look what stands: %w", err)
	}
	return r, nil
}

// reportMax is more than the longest answer takes.
const reportMax = 4 * questionMax

func (c Client) ask(ctx context.Context, q question) (Report, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Max)
	defer cancel()
	text, err := json.Marshal(q)
	if err != nil {
		return Report{}, err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", c.Socket)
	if err != nil {
		return Report{}, fmt.Errorf("%w (%w)", ErrNoGuard, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	// A guard that refuses who asks answers before it has read anything.
	_, wrote := conn.Write(text)
	if half, ok := conn.(*net.UnixConn); ok && wrote == nil {
		wrote = half.CloseWrite()
	}
	reply, err := io.ReadAll(io.LimitReader(conn, reportMax+1))
	if err = errors.Join(err, wrote); err != nil && len(reply) == 0 {
		return Report{}, errors.Join(err, ctx.Err())
	}
	var r Report
	if err := decode(reply, &r); err != nil {
		return Report{}, fmt.Errorf("read the answer: %w", err)
	}
	if r.Version != wireVersion {
		return Report{}, fmt.Errorf("the guard speaks version %d, not %d", r.Version, wireVersion)
	}
	return r, r.failure()
}
