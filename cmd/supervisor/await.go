// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"supervisor/internal/api"
)

// awaitEvery is how often the journal's answer to an order is looked for.
const awaitEvery = 100 * time.Millisecond

// pending is an order of which the leader's answer is awaited.
type pending struct {
	request string
	unsure  bool // nobody knows whether it is written down
}

// ordered orders what a plan says. An order whose writing nobody answered for is
// awaited like any other: the journal tells what became of it, if it came to
// anything.
func ordered(c *cobra.Command, client *api.Client, o api.OrderRequest) (pending, error) {
	order, err := post[api.Order](c.Context(), client, "/v1/orders", o)
	var p *api.Problem
	switch {
	case errors.As(err, &p) && p.Code == api.OrderUnknown && p.Subject != "":
		return pending{p.Subject, true}, nil
	case err != nil:
		return pending{}, asFailure(err)
	}
	return pending{request: order.Data.Request}, nil
}

// await waits until the journal tells what the leader made of the order. An
// interrupt detaches: then nothing is answered, and the order goes on.
func (p pending) await(c *cobra.Command, client *api.Client, wait time.Duration) (raw []byte, e api.Envelope[api.OrderAnswer], err error) {
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	limited, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for limited.Err() == nil {
		raw, err := client.Get(limited, api.Path("v1", "orders", p.request))
		if err == nil {
			e, err := api.Decode[api.OrderAnswer](raw)
			if err == nil && e.Data.State != api.OrderWaits {
				return raw, e, nil
			}
		}
		select {
		case <-limited.Done():
		case <-time.After(awaitEvery):
		}
	}
	if ctx.Err() != nil {
		fmt.Fprintf(c.ErrOrStderr(), "detached; the order %s goes on. See: supervisor status\n", p.request)
		return nil, e, nil
	}
	return nil, e, p.silence(wait)
}

// silence is what is known of an order that the journal does not tell of.
func (p pending) silence(wait time.Duration) error {
	row := api.ErrorOf(api.OrderWaiting)
	what, where := "the leader has not taken the order in after %s", "it stays in the leader's inbox as "
	if p.unsure {
		row = api.ErrorOf(api.OrderUnknown)
		what, where = "nobody knows whether the order is written down, and after %s the journal tells nothing of it", "it may stand in the leader's inbox as "
	}
	return failure{err: fmt.Errorf(what, wait), code: string(row.Code), exit: row.Exit, remedy: []string{where + p.request, row.Remedy}}
}
