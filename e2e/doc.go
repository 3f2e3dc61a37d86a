// SPDX-License-Identifier: Apache-2.0

// Package e2e tests the built binary from outside: real Cassandra, the
// embedded etcd, real HAProxy, real processes that are killed, stopped and
// started again. Its tests carry the build tag real and are run by
// `make test`; they use nothing of the program but its commands.
package e2e
