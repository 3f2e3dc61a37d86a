// SPDX-License-Identifier: Apache-2.0

// Package membership turns the reports of many observers into one verdict per
// node. It is a pure function of what it was told: who looked, by which path,
// what they saw and how long ago on their own clock.
//
// Everybody relies on one property: Unknown is the answer whenever too few
// observers are heard, and nothing destructive ever follows from Unknown.
package membership
