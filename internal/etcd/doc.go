// SPDX-License-Identifier: Apache-2.0

// Package etcd carries the transactions of package store to a real etcd,
// external or embedded, and brings back what changed.
//
// Keys go in and out relative to the prefix of one cluster and region; nobody
// above this package sees the prefix. The property everybody relies on: a
// transaction is sent at most once, and an error that is not store.ErrNotWritten
// means that nobody knows whether it is written, or will be.
package etcd
