// SPDX-License-Identifier: Apache-2.0

// Package storetest is the contract between the agents and their store: one
// suite, run on the model that the simulator uses and on real etcd servers.
// What holds here is what the rest of the house may rely on.
package storetest

import (
	"context"
	"testing"

	"supervisor/internal/store"
)

// Store is one client of a store, as an agent uses it.
type Store interface {
	Commit(ctx context.Context, t store.Txn) (store.Result, error)
	List(ctx context.Context, prefix string) ([]store.KV, int64, error)
	Watch(ctx context.Context, prefix string) <-chan store.Batch
}

// Leader is the part of a client that campaigns and announces.
type Leader interface {
	Campaign(ctx context.Context) (store.Term, <-chan struct{}, error)
	Resign(ctx context.Context) error
	Announce(key string, value []byte)
}

// Client is one client with the faults the suite can give it. It is closed by
// whoever opened it when the test ends.
type Client struct {
	Store
	Leader
	// Die stops the client without a goodbye: its leases run out.
	Die func()
	// Mute stops the answers to this client, or also its requests, until Cut
	// is called. Requests held back never arrive.
	Mute func(requestsToo bool)
	// Cut breaks the connection and ends Mute.
	Cut func()
}

// World is one empty store.
type World struct {
	// Client makes another client of the store.
	Client func(t *testing.T, name string) Client
	// Compact forgets the history up to and including rev.
	Compact func(t *testing.T, rev int64)
	// NotWritten tells whether an error of Commit says that nothing is written.
	NotWritten func(error) bool
}
