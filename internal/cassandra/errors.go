// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
)

// The ways in which a node does not answer. They are told apart because they
// prove different things: a refusal comes from a living kernel, silence proves
// nothing about the other side.
var (
	// ErrSilent: no answer within the time-out. A stopped JVM accepts the
	// connection and never answers.
	ErrSilent = errors.New("no answer in time")
	// ErrRefused: the connection was refused, reset or closed without an answer.
	ErrRefused = errors.New("connection refused or reset")
	// ErrNonsense: something answered that cannot be understood.
	ErrNonsense = errors.New("answer not understood")
	// ErrBusy: the node answers that it has too much to do, which a dead one
	// cannot say.
	ErrBusy = errors.New("overloaded")
)

// AdminError is a refusal in Cassandra's own words, as Jolokia passes it on.
type AdminError struct {
	Status  int    // HTTP-like status of this one request
	Type    string // the Java exception's class, empty when there was none
	Message string // bounded
}

// Error tells status, class and message.
func (e *AdminError) Error() string {
	return fmt.Sprintf("admin interface answered %d: %s", e.Status, strings.TrimPrefix(e.Message, e.Type+" : "))
}

// Absent tells whether err says that the bean or attribute asked for does not
// exist: not yet, while a node starts, or not at all.
func Absent(err error) bool {
	var refused *AdminError
	return errors.As(err, &refused) &&
		(strings.HasSuffix(refused.Type, "InstanceNotFoundException") || strings.HasSuffix(refused.Type, "AttributeNotFoundException"))
}

// heardHTTP is heard for the HTTP client, which has errors without a type for
// what the other side did: everything in which no system call failed here.
func heardHTTP(parent context.Context, err error) error {
	err = heard(parent, err)
	var local syscall.Errno
	var refused *AdminError
	for _, kind := range []error{ErrSilent, ErrRefused, ErrNonsense, context.Canceled} {
		if errors.Is(err, kind) {
			return err
		}
	}
	switch {
	case errors.As(err, &local), errors.As(err, &refused):
		return err
	case strings.Contains(err.Error(), "server closed idle connection"):
		return fmt.Errorf("%w (%w)", ErrRefused, err)
	}
	return fmt.Errorf("%w: %w", ErrNonsense, err)
}

// heard gives a transport error its kind. The parent context tells a caller
// who went away (its error is passed on) from a node that did not answer.
func heard(parent context.Context, err error) error {
	var timed net.Error
	switch {
	case errors.Is(parent.Err(), context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timed) && timed.Timeout(),
		errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fmt.Errorf("%w (%w)", ErrSilent, err)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return fmt.Errorf("%w (%w)", ErrRefused, err)
	}
	return err
}
