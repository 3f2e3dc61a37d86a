// SPDX-License-Identifier: Apache-2.0

// Package cluster starts Cassandra clusters whose nodes are hosts: containers with
// systemd as their first process, in which Cassandra is cassandra.service and the
// supervisor is installed from its package. A test breaks them as hosts break, and
// asks the supervisor what it did.
//
// It wants root, a Docker daemon (StartDaemon starts Debian's where none answers)
// and debootstrap. No image is pulled: the one that all hosts share is made of
// Debian's packages once, and kept in the daemon. Nothing talks to any address but
// those of the containers. What a killed test left behind is removed by the next
// one, by its label.
package cluster
