// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"supervisor/cluster"
	"supervisor/incident"
)

// Options are everything a server is made of. They are complete: nothing is
// defaulted later.
type Options struct {
	Socket string  // absolute path
	Group  string  // whose members may act, besides root and the agent's own user; empty: nobody
	Remote *Remote // nil: the socket alone
	Source Source
	// ReadPolicy reads a policy document against the roster. It returns every
	// fault, or none and a policy with its hash.
	ReadPolicy func(document []byte, hosts []cluster.Host) (incident.Policy, []Fault)
	Counters   *Counters
	Log        *zap.Logger // is told of a request that ended in a panic, and of an address that cannot be listened on
}

// Bounds of the server. A client that is slower or bigger is dropped; what it
// costs meanwhile is one goroutine and its buffers.
const (
	headerTimeout = 2 * time.Second
	readTimeout   = 5 * time.Second
	writeTimeout  = 10 * time.Second
	idleTimeout   = 15 * time.Second
	answerTimeout = 2 * time.Second // for the agent to say what it knows
	headerMax     = 16 << 10
	bodyMax       = 1 << 20
	streamsMax    = 16 // at each door
	// snapshotFresh is how long one snapshot serves all readers.
	snapshotFresh = 100 * time.Millisecond
)

// Server is the interface of one agent.
type Server struct {
	o       Options
	mayAct  func(Peer) bool
	ln      net.Listener
	routes  *routes
	plans   plans
	streams chan struct{} // places of the socket
	far     chan struct{} // places over the network
	ending  chan struct{} // closed when the server ends: streams end then
	end     sync.Once

	mu     sync.Mutex
	cached Snapshot
	failed error // of the last question; then cached is worth nothing
	taken  time.Time
}

// socketMode lets the group in and nobody else. Who gets in by other means,
// an access list or a wider mode set by hand, may look and not act.
const socketMode = 0o660

// NewServer makes the socket; Serve answers on it.
func NewServer(o Options) (*Server, error) {
	if o.Source == nil || o.ReadPolicy == nil || o.Counters == nil || o.Log == nil {
		return nil, errors.New("serve the interface: an option is missing")
	}
	gid, err := groupID(o.Group)
	if err != nil {
		return nil, err
	}
	if o.Remote != nil && (o.Remote.Certs == nil || o.Remote.Address == "") {
		return nil, errors.New("serve the interface over the network: an option is missing")
	}
	s := &Server{o: o, mayAct: groupActs(gid), streams: make(chan struct{}, streamsMax), far: make(chan struct{}, streamsMax), ending: make(chan struct{})}
	s.routes = s.paths()
	ln, err := listenUnix(o.Socket, socketMode, gid)
	if err != nil {
		return nil, err
	}
	s.ln = ln
	return s, nil
}

// newHTTP has the bounds of every door.
func (s *Server) newHTTP(h http.Handler, peer func(context.Context, net.Conn) context.Context) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: headerMax, ConnContext: peer, ErrorLog: log.New(io.Discard, "", 0),
	}
}

// Serve answers until ctx ends, then lets answers under way finish.
func (s *Server) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var remote sync.WaitGroup
	defer remote.Wait()
	defer cancel()
	if s.o.Remote != nil {
		remote.Go(func() { s.serveRemote(ctx) })
	}
	if err := s.serveOn(ctx, s.newHTTP(s.admit(s.byKernel), withPeer), s.ln); err != nil {
		return fmt.Errorf("serve on %s: %w", s.o.Socket, err)
	}
	return nil
}

// serveOn answers at one door until ctx ends.
func (s *Server) serveOn(ctx context.Context, h *http.Server, ln net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- h.Serve(ln) }()
	select {
	case err := <-failed:
		_ = h.Close()
		return err
	case <-ctx.Done():
	}
	s.end.Do(func() { close(s.ending) })
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTimeout)
	defer cancel()
	if err := h.Shutdown(last); err != nil {
		_ = h.Close()
	}
	<-failed
	return nil
}

// routes is a mux that knows what it routes.
type routes struct {
	http.ServeMux
	all []string
}

func (m *routes) Handle(route string, h http.Handler) {
	m.all = append(m.all, route)
	m.ServeMux.Handle(route, h)
}

func (m *routes) HandleFunc(route string, h http.HandlerFunc) { m.Handle(route, h) }

// paths are what is answered. Each has a row in rights, or it is closed.
func (s *Server) paths() *routes {
	mux := &routes{}
	registry := prometheus.NewRegistry()
	registry.MustRegister(s.o.Counters, collector{s.snapshot}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: writeTimeout / 2}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.readyz)
	get(s, mux, "/version", func(sn Snapshot, _ *http.Request) (VersionInfo, []string, error) {
		return VersionInfo{Version: sn.Version, API: Version, Agent: sn.Self}, nil, nil
	})
	get(s, mux, "/v1/status", plain(StatusOf))
	get(s, mux, "/v1/nodes", plain(NodesOf))
	get(s, mux, "/v1/nodes/{name}", named("name", func(sn Snapshot, name string) (Node, error) { return NodeOf(sn, cluster.Name(name)) }))
	get(s, mux, "/v1/explain/{subject}", named("subject", Explain))
	get(s, mux, "/v1/incidents", plain(IncidentsOf))
	get(s, mux, "/v1/incidents/{id}", named("id", IncidentOf))
	get(s, mux, "/v1/incidents/{id}/timeline", func(sn Snapshot, r *http.Request) (Timeline, []string, error) {
		return TimelineOf(sn, r.PathValue("id"))
	})
	get(s, mux, "/v1/findings", plain(FindingsOf))
	get(s, mux, "/v1/findings/{code}", named("code", FindingOf))
	get(s, mux, "/v1/pools", plain(PoolsOf))
	get(s, mux, "/v1/repairs", plain(RepairsOf))
	get(s, mux, "/v1/repairs/{id}", named("id", RepairOf))
	get(s, mux, "/v1/repairs/plan/{node}", repairPlan)
	get(s, mux, "/v1/policy", plain(PolicyOf))
	get(s, mux, "/v1/audit", func(sn Snapshot, _ *http.Request) (Audit, []string, error) { return AuditOf(sn) })
	get(s, mux, "/v1/orders/{request}", named("request", func(sn Snapshot, request string) (OrderAnswer, error) { return AnswerOf(sn, request), nil }))
	mux.HandleFunc("GET /v1/events", s.guarded(s.events))
	mux.HandleFunc("POST /v1/plans", s.guarded(s.plan))
	mux.HandleFunc("POST "+ordersPath, s.guarded(s.order))
	mux.HandleFunc("POST /v1/gate", s.guarded(s.gate))
	mux.HandleFunc("GET "+recordingPath, s.guarded(s.recording))
	mux.HandleFunc("/{rest...}", s.guarded(func(_ http.ResponseWriter, r *http.Request) error {
		return problem(RouteUnknown, r.URL.Path, fmt.Sprintf("%s %s is no path of this interface", r.Method, r.URL.Path))
	}))
	return mux
}

// VersionInfo is the answer of /version.
type VersionInfo struct {
	Version string       `json:"version"`
	API     string       `json:"api"`
	Agent   cluster.Name `json:"agent"`
}

// get answers a path from the snapshot alone: there is nothing it could change.
func get[T any](s *Server, mux *routes, path string, view func(Snapshot, *http.Request) (T, []string, error)) {
	mux.HandleFunc("GET "+path, s.guarded(func(w http.ResponseWriter, r *http.Request) error {
		sn, err := s.snapshot(r.Context())
		if err != nil {
			return err
		}
		data, missing, err := view(sn, r)
		if err != nil {
			return err
		}
		return reply(w, http.StatusOK, wrap(sn, data, missing...))
	}))
}

func plain[T any](view func(Snapshot) T) func(Snapshot, *http.Request) (T, []string, error) {
	return func(sn Snapshot, _ *http.Request) (T, []string, error) { return view(sn), nil, nil }
}

func named[T any](part string, view func(Snapshot, string) (T, error)) func(Snapshot, *http.Request) (T, []string, error) {
	return func(sn Snapshot, r *http.Request) (T, []string, error) {
		data, err := view(sn, r.PathValue(part))
		return data, nil, err
	}
}

// guarded bounds the body and turns errors and panics into documents.
func (s *Server) guarded(h func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if b := recover(); b != nil {
				s.o.Log.Error("a request broke", zap.String("method", r.Method), zap.String("path", r.URL.Path), zap.Any("panic", b), zap.Stack("stack"))
				complain(w, problem(Internal, r.URL.Path, "the agent broke while it answered"))
			}
		}()
		r.Body = http.MaxBytesReader(w, r.Body, bodyMax)
		if err := h(w, r); err != nil {
			complain(w, asProblem(err))
		}
	}
}

// snapshot is one snapshot for all who ask within a moment: many readers cost
// the agent no more than one, and wait no longer than one for an agent that
// does not answer.
func (s *Server) snapshot(ctx context.Context) (Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.taken) < snapshotFresh {
		return s.cached, s.failed
	}
	return s.fresh(context.WithoutCancel(ctx)) // others wait for it too
}

// fresh asks the agent; the caller holds mu.
func (s *Server) fresh(ctx context.Context) (Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	sn, err := s.o.Source.Snapshot(ctx)
	s.failed = nil
	if err != nil {
		sn, s.failed = Snapshot{}, problem(AgentBusy, "", fmt.Sprintf("the agent did not say what it knows: %v", err))
	}
	s.cached, s.taken = sn, time.Now()
	return s.cached, s.failed
}

func (s *Server) snapshotNow(ctx context.Context) (Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fresh(ctx)
}

// readyz says whether the agent's answers are worth reading, with ?verbose
// line by line.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	sn, err := s.snapshot(r.Context())
	checks := []struct {
		name string
		ok   bool
		why  string
	}{
		{"agent", err == nil, "does not answer"},
		{"store", err == nil && sn.StoreLost == "", sn.StoreLost},
		{"roster", err == nil && len(sn.World.Hosts) > 0, "no host is on it, or it was not read yet"},
	}
	var lines strings.Builder
	status := http.StatusOK
	for _, c := range checks {
		if c.ok {
			fmt.Fprintf(&lines, "[+] %s\n", c.name)
			continue
		}
		status = http.StatusServiceUnavailable
		fmt.Fprintf(&lines, "[-] %s: %s\n", c.name, c.why)
	}
	text := "ready\n"
	if status != http.StatusOK {
		text = "not ready\n"
	}
	if r.URL.Query().Has("verbose") {
		text = lines.String() + text
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// reply writes an answer. An error of the connection concerns nobody else.
func reply(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
	return nil
}

func complain(w http.ResponseWriter, p *Problem) {
	b, err := json.Marshal(p)
	if err != nil {
		b = []byte("{}")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(b, '\n'))
}

// read decodes a request. What it does not know it refuses: a misspelt field
// of an order must not be a weaker order.
func read(r *http.Request, v any) error {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &big):
		return problem(BodyTooLarge, r.URL.Path, fmt.Sprintf("the request has more than %d bytes", big.Limit))
	case err != nil:
		return problem(Usage, r.URL.Path, fmt.Sprintf("read the request: %v", err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return problem(Usage, r.URL.Path, "read the request: something follows the JSON object")
	}
	return nil
}
