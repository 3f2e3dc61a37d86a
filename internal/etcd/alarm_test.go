// SPDX-License-Identifier: Apache-2.0

package etcd_test

import (
	"errors"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"supervisor/internal/store"
)

// A store whose quota is used up answers every read as if nothing were wrong.
func TestAFullStoreSaysThatItTakesNoWrites(t *testing.T) {
	t.Parallel()
	addr := embedded(t)
	s := client(t, []string{"http://" + addr}, nil)
	commits(t, s, "before")
	if why, err := s.Refuses(t.Context()); why != "" || err != nil {
		t.Fatalf("before: %q, %v", why, err)
	}
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	alarm := func(do pb.AlarmRequest_AlarmAction) {
		status, err := pb.NewMaintenanceClient(conn).Status(t.Context(), &pb.StatusRequest{})
		if err == nil {
			_, err = pb.NewMaintenanceClient(conn).Alarm(t.Context(), &pb.AlarmRequest{Action: do, Alarm: pb.AlarmType_NOSPACE, MemberID: status.Header.MemberId})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	alarm(pb.AlarmRequest_ACTIVATE)
	_, pulse := s.Pulse(t.Context())
	why, err := s.Refuses(t.Context())
	if pulse != nil || err != nil || why != "etcd raised the alarm NOSPACE" {
		t.Errorf("pulse %v, refuses %q, %v", pulse, why, err)
	}
	if _, err := s.Commit(t.Context(), put("a", "full")); !errors.Is(err, store.ErrNotWritten) {
		t.Errorf("a commit to a full store: %v", err)
	}
	alarm(pb.AlarmRequest_DEACTIVATE)
	if why, err := s.Refuses(t.Context()); why != "" || err != nil {
		t.Errorf("after: %q, %v", why, err)
	}
	commits(t, s, "after")
}
