// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"supervisor/internal/store"
)

// Status is how the store does. It was written by a quorum a moment ago.
type Status struct {
	Revision  int64
	ClusterID uint64        // a store with another one is not ours any more
	Leader    bool          // one of the endpoints that answered names a leader
	Answer    time.Duration // of the linearizable read this rests on
	Members   []Server      // who belongs to the store, by name
	Endpoints []Endpoint    // who answers, in the order of the options
}

// Server is one etcd server of the store.
type Server struct {
	Name       string
	ID         uint64
	ClientURLs []string
}

// Endpoint is one address of the options as it answered.
type Endpoint struct {
	URL     string
	Member  uint64 // ID of the member behind it
	Leads   bool
	Version string
	DBBytes int64
	Faults  []string // alarms, such as a full quota or a corrupt member
	Err     error    // it did not answer; the other fields are empty
}

// Pulse is one linearizable read: how long a quorum took to answer. The errors
// are those of Health.
func (s *Store) Pulse(ctx context.Context) (took time.Duration, err error) {
	st, err := s.pulse(ctx)
	return st.Answer, err
}

func (s *Store) pulse(ctx context.Context) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.RequestTimeout)
	defer cancel()
	began, floor := time.Now(), s.horizon.floor()
	resp, err := s.client.Get(ctx, s.o.Prefix+store.Era, clientv3.WithCountOnly())
	if err != nil {
		return Status{}, fmt.Errorf("pulse of the store: %w", s.turned.explain(err))
	}
	if err := s.horizon.note(resp.Header, floor); err != nil {
		return Status{}, fmt.Errorf("pulse of the store: %w", err)
	}
	return Status{Revision: resp.Header.Revision, ClusterID: resp.Header.ClusterId, Answer: time.Since(began)}, nil
}

// Refuses tells why the store takes no writes; empty: nothing says that it does
// not. etcd raises an alarm, a full quota or a corrupt member, and goes on
// answering reads, so a Pulse does not tell. Whichever member the client talks to
// answers by what it knows: it costs the others nothing.
func (s *Store) Refuses(ctx context.Context) (why string, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.RequestTimeout)
	defer cancel()
	resp, err := pb.NewMaintenanceClient(s.client.ActiveConnection()).Status(ctx, &pb.StatusRequest{})
	if err != nil {
		return "", fmt.Errorf("alarms of the store: %w", err)
	}
	return alarmed(resp.Errors), nil
}

// alarmed finds the alarms among the faults of a member, each once.
func alarmed(faults []string) string {
	var alarms []string
	for _, f := range faults {
		if _, name, is := strings.Cut(f, "alarm:"); is {
			alarms = append(alarms, strings.TrimSpace(name))
		}
	}
	if slices.Sort(alarms); len(alarms) == 0 {
		return ""
	}
	return "etcd raised the alarm " + strings.Join(slices.Compact(alarms), ", ")
}

// Health asks a quorum for the store's revision, then every endpoint for its
// own state over a connection of its own, so it is a question for every few
// seconds and not for every turn. An error means that the store cannot be written now, or went
// back (ErrWentBack); a single endpoint's silence stands in its Err.
func (s *Store) Health(ctx context.Context) (Status, error) {
	status, err := s.pulse(ctx)
	if err != nil {
		return Status{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.RequestTimeout)
	defer cancel()
	list, err := s.client.MemberList(ctx)
	if err != nil {
		return status, fmt.Errorf("members of the store: %w", err)
	}
	for _, m := range list.Members {
		status.Members = append(status.Members, Server{Name: m.Name, ID: m.ID, ClientURLs: m.ClientURLs})
	}
	slices.SortFunc(status.Members, func(a, b Server) int { return strings.Compare(a.Name, b.Name) })
	status.Endpoints = s.askEndpoints(ctx)
	status.Leader = slices.ContainsFunc(status.Endpoints, func(e Endpoint) bool { return e.Leads })
	return status, nil
}

// askEndpoints asks all at once: a silent one must not cost the others their
// time.
func (s *Store) askEndpoints(ctx context.Context) []Endpoint {
	ends := make([]Endpoint, len(s.o.Endpoints))
	var wg sync.WaitGroup
	for i, url := range s.o.Endpoints {
		wg.Go(func() { ends[i] = s.askEndpoint(ctx, url) })
	}
	wg.Wait()
	return ends
}

func (s *Store) askEndpoint(ctx context.Context, url string) Endpoint {
	resp, err := s.client.Status(ctx, url)
	if err != nil {
		return Endpoint{URL: url, Err: fmt.Errorf("status of %s: %w", url, err)}
	}
	id := resp.Header.MemberId
	return Endpoint{URL: url, Member: id, Leads: resp.Leader == id, Version: resp.Version, DBBytes: resp.DbSize, Faults: resp.Errors}
}
