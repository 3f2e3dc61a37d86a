// SPDX-License-Identifier: Apache-2.0

// Package store is the key space in etcd as values: the names of the keys, a
// transaction that can be compared and put, and a mirror of what was read. It
// does no I/O; internal/etcd carries transactions to a real etcd, and the
// simulator to its model.
//
// The property everybody relies on: a transaction names every key it was
// decided upon with the revision it was read at, so a decision made on an old
// picture cannot be written.
package store
