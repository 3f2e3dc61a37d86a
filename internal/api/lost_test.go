// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"

	"supervisor/internal/api"
	"supervisor/internal/api/apitest"
)

// An order whose answer is lost has a name, and is no refusal.
func TestAnOrderWhoseAnswerIsLost(t *testing.T) {
	s := serve(t, apitest.Healthy())
	s.source.LoseAnswers(errors.New("commit: deadline exceeded"))
	mode := s.plan(t, "mode=observe")
	_, err := s.Post(t.Context(), "/v1/orders", api.OrderRequest{Plan: mode.Hash, Reason: "r"})
	var p *api.Problem
	if !errors.As(err, &p) || p.Code != api.OrderUnknown || p.Subject != "request-1" || p.Rule != "" || p.Exit != api.ExitFailed {
		t.Errorf("it is told as %+v", p)
	}
}

// An agent that was given an order and says nothing more leaves open what became
// of it; one that cannot be reached was given none.
func TestAnAgentThatDoesNotAnswerAnOrder(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "api.sock")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	for why, says := range map[string]string{"it hangs up at once": "", "it hangs up in the middle": "HTTP/1.1 202 Accepted\r\nContent-Length: 99\r\n\r\n{"} {
		go func() {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = bufio.NewReader(conn).ReadString('\n')
			_, _ = io.WriteString(conn, says)
			_ = conn.Close()
		}()
		client := api.NewClient(socket)
		if _, err := client.Post(t.Context(), "/v1/orders", api.OrderRequest{}); code(err) != api.OrderUnknown {
			t.Errorf("%s: %v", why, err)
		}
		client.Close()
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	client := api.NewClient(socket)
	defer client.Close()
	if _, err := client.Post(t.Context(), "/v1/orders", api.OrderRequest{}); code(err) != api.AgentUnreachable {
		t.Errorf("nobody was asked: %v", err)
	}
}
