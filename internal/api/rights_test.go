// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/zap"

	"supervisor/internal/api"
	"supervisor/internal/api/apitest"
	"supervisor/internal/certs"
)

// Whoever adds a route says here who may take it.
func TestWhoMayDoWhat(t *testing.T) {
	server, err := api.NewServer(api.Options{Socket: filepath.Join(t.TempDir(), "s"), Source: apitest.NewSource(apitest.Healthy()),
		ReadPolicy: readPolicy, Counters: api.NewCounters(), Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	type who struct{ reader, operator, local bool }
	everybody, acts, here := who{true, true, true}, who{false, true, true}, who{false, false, true}
	want := map[string]who{
		"GET /metrics": everybody, "GET /healthz": everybody, "GET /readyz": everybody, "GET /version": everybody,
		"GET /v1/status": everybody, "GET /v1/nodes": everybody, "GET /v1/nodes/{name}": everybody, "GET /v1/explain/{subject}": everybody,
		"GET /v1/incidents": everybody, "GET /v1/incidents/{id}": everybody, "GET /v1/incidents/{id}/timeline": everybody,
		"GET /v1/findings": everybody, "GET /v1/findings/{code}": everybody, "GET /v1/pools": everybody, "GET /v1/policy": everybody, "GET /v1/audit": everybody,
		"GET /v1/repairs": everybody, "GET /v1/repairs/{id}": everybody, "GET /v1/repairs/plan/{node}": everybody,
		"GET /v1/orders/{request}": everybody, "GET /v1/events": everybody, "GET /v1/recording": everybody, "/{rest...}": everybody,
		"POST /v1/plans": acts, "POST /v1/orders": acts, "POST /v1/gate": here,
	}
	for _, route := range server.Routes() {
		w, ruled := want[route]
		if !ruled || !slices.Contains(api.Ruled(), route) {
			t.Errorf("nothing says who may take %s", route)
		}
		got := who{api.May(api.Reader, route), api.May(api.Operator, route), api.May(api.Local, route)}
		if got != w || api.May(api.Nobody, route) {
			t.Errorf("%s: reader, operator, local %+v, want %+v; nobody %t", route, got, w, api.May(api.Nobody, route))
		}
	}
	for _, route := range api.Ruled() {
		if !slices.Contains(server.Routes(), route) {
			t.Errorf("%s has a row and is no route", route)
		}
	}
	for _, r := range []api.Role{api.Nobody, api.Reader, api.Operator, api.Local, 99} {
		if api.May(r, "GET /v1/secrets") || api.May(r, "") {
			t.Errorf("role %d may take a route that stands in no row", r)
		}
	}
	for kind, want := range map[certs.Kind]api.Role{certs.OfHost: api.Reader, certs.OfReader: api.Reader, certs.OfOperator: api.Operator, "": api.Nobody, "root": api.Nobody} {
		if got := api.RoleOf(kind); got != want {
			t.Errorf("the certificate of kind %q gives role %d, want %d", kind, got, want)
		}
	}
}
