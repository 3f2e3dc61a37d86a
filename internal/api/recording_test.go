// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"bytes"
	"net/http"
	"testing"

	"go.uber.org/zap"

	"supervisor/cluster"
	"supervisor/internal/api"
	"supervisor/internal/api/apitest"
	"supervisor/internal/trace"
	"supervisor/membership"
)

// The recording goes out as the agent gave it, and no path comes in.
func TestTheRecordingIsGivenAsItIs(t *testing.T) {
	source := apitest.NewSource(apitest.Healthy())
	s := serveFrom(t, source, zap.NewNop())
	s.refused(t, http.MethodGet, "/v1/recording", "", api.RecordingNone)
	s.refused(t, http.MethodPost, "/v1/recording", `{"file":"/etc/passwd"}`, api.RouteUnknown)

	var r trace.Recorder
	bars := membership.DefaultBars()
	topology := membership.NewTopology([]cluster.Host{{Name: "n1", Rack: "a"}})
	view := membership.Judge(membership.View{}, nil, topology, bars, 7)
	r.Turn(membership.View{}, trace.Turn{Now: 7, Topology: topology, Rules: trace.Rules{Bars: bars}, Changes: trace.Changes(membership.View{}, view)})
	x := r.Recording(trace.Header{Cluster: "orders", Agent: "n1", Moment: 7})
	source.Record(x)
	var want bytes.Buffer
	if _, err := x.WriteTo(&want); err != nil {
		t.Fatal(err)
	}
	status, header, got := s.do(t, http.MethodGet, "/v1/recording", "")
	if status != http.StatusOK || header.Get("Content-Type") != "application/octet-stream" || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("status %d, %v, %d bytes of %d", status, header, len(got), want.Len())
	}
	if got, err := s.Recording(t.Context()); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%d bytes of %d: %v", len(got), want.Len(), err)
	}
}
