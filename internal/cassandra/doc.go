// SPDX-License-Identifier: Apache-2.0

// Package cassandra talks to Cassandra nodes and decides nothing: the admin
// interface over HTTP (Jolokia), one bare OPTIONS frame as a sign of life, and
// CQL sessions that stay on the one node they were opened to.
//
// Every call ends: by its answer, by its own time-out or by its context. An
// error says by its kind what was heard: ErrSilent, ErrRefused, ErrNonsense,
// or an AdminError with Cassandra's own words.
package cassandra
