// SPDX-License-Identifier: Apache-2.0

// Package cluster is the vocabulary of the house: hosts and where they stand,
// tokens and moments, keyspaces, the ring and how many replicas of it may
// still be lost. It decides nothing and imports no other room.
//
// Every value is plain data. Functions return new values and never keep or
// change what they were given, so a copy taken earlier stays true.
package cluster
