// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
)

// Errors of RemoveMember.
var (
	ErrNoMember      = errors.New("no such member")
	ErrMemberAnswers = errors.New("the member answers")
	ErrLastMember    = errors.New("it is the only member")
)

// RemoveMember takes a member off the store, so that an empty one can join in
// its place. It refuses one that answers: taking that off makes the store
// weaker and mends nothing. etcd itself refuses when the others are no majority.
func (s *Store) RemoveMember(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.RequestTimeout)
	defer cancel()
	list, err := s.client.MemberList(ctx)
	if err != nil {
		return fmt.Errorf("members of the store: %w", err)
	}
	var gone *etcdserverpb.Member
	var names []string
	for _, m := range list.Members {
		names = append(names, m.Name)
		if m.Name == name {
			gone = m
		}
	}
	switch {
	case gone == nil:
		slices.Sort(names)
		return fmt.Errorf("%w %q: the store has %s", ErrNoMember, name, strings.Join(names, ", "))
	case len(list.Members) == 1:
		return fmt.Errorf("remove %s: %w", name, ErrLastMember)
	case s.anyAnswers(ctx, gone.ClientURLs):
		return fmt.Errorf("remove %s: %w at %s", name, ErrMemberAnswers, strings.Join(gone.ClientURLs, ", "))
	}
	if _, err := s.client.MemberRemove(ctx, gone.ID); err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}

// answerMax leaves time for the removal itself: an address where nobody is
// may use all of it.
const answerMax = time.Second

func (s *Store) anyAnswers(ctx context.Context, urls []string) bool {
	ctx, cancel := context.WithTimeout(ctx, answerMax)
	defer cancel()
	for _, url := range urls {
		if e := s.askEndpoint(ctx, url); e.Err == nil {
			return true
		}
	}
	return false
}

// ErrBackupTorn tells that a backup is not whole.
var ErrBackupTorn = errors.New("the backup is not whole")

// Backup writes a snapshot of the store as one of its members has it to w, and
// returns its size in bytes. The last 32 are the checksum of those before.
func (s *Store) Backup(ctx context.Context, w io.Writer) (int64, error) {
	resp, err := s.client.SnapshotWithVersion(ctx)
	if err != nil {
		return 0, fmt.Errorf("back the store up: %w", err)
	}
	defer resp.Snapshot.Close()
	size, err := io.Copy(w, resp.Snapshot)
	switch {
	case err != nil:
		return size, fmt.Errorf("back the store up: %w", err)
	case size%512 != sha256.Size:
		return size, fmt.Errorf("back the store up: %w: %d bytes", ErrBackupTorn, size)
	}
	return size, nil
}
