// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"supervisor/internal/api"
	"supervisor/internal/demo/node"
)

// middle are the events in whose wake the leader's agent is ended, when that is
// asked for: somebody else has to go on with what is half done.
var middle = map[Scenario]string{Crash: "did_start", Outage: "did_start", Hang: "decided_fence"}

// heir ends the leader's agent, with its member of the store, in the middle of
// a story, and starts it again a while later, as its unit would; or stops it with
// the fault, and lets it go on a while later, when it leads no more and does not
// know that yet.
type heir struct {
	*stage
	healed *Healed
	killed node.Node
	back   bool
}

func (s *stage) heir(h *Healed) *heir {
	return &heir{stage: s, healed: h, back: !s.o.KillLeader && !s.o.StopLeader}
}

// choose finds the leader's agent, if it is to be stopped with the fault.
func (h *heir) choose(ctx context.Context) error {
	if !h.o.StopLeader {
		return nil
	}
	st, err := h.status(ctx)
	if err != nil {
		return err
	}
	h.killed, err = h.plan.Node(string(leader(st)))
	return err
}

// freeze stops the leader's agent in the moment of the fault.
func (h *heir) freeze() error {
	if !h.o.StopLeader {
		return nil
	}
	if err := signal(syscall.SIGSTOP, h.killed.AgentPidFile()); err != nil {
		return fmt.Errorf("stop the leader's agent: %w", err)
	}
	h.deaf = h.killed.Name
	h.healed.Killed, h.healed.Leader, h.healed.Done = time.Now(), h.killed.Name, "stopped"
	h.tell(fmt.Sprintf("SIGSTOP of the agent of %s, which leads and carries a member of the store", h.killed.Name))
	return nil
}

// done tells whether nothing is left to be done.
func (h *heir) done() bool { return h.back }

// turn does what is due.
func (h *heir) turn(ctx context.Context, story *api.Timeline) error {
	switch {
	case h.back:
	case h.healed.Killed.IsZero():
		if story != nil && tells(story, middle[h.o.Scenario]) {
			return h.kill(ctx)
		}
	case time.Since(h.healed.Killed) < heirMax:
	case h.o.StopLeader:
		h.back, h.deaf = true, ""
		h.tell(fmt.Sprintf("SIGCONT of the agent of %s", h.killed.Name))
		return signal(syscall.SIGCONT, h.killed.AgentPidFile())
	default:
		h.back = true
		h.tell(fmt.Sprintf("the agent of %s is started again", h.killed.Name))
		return h.fleet.Start(h.killed)
	}
	return nil
}

func tells(story *api.Timeline, code string) bool {
	for _, ev := range story.Events {
		if ev.Code == code {
			return true
		}
	}
	return false
}

func (h *heir) kill(ctx context.Context) error {
	st, err := h.status(ctx)
	if err != nil {
		return nil // asked again at the next look
	}
	n, err := h.plan.Node(string(leader(st)))
	if err != nil {
		return nil // nobody leads just now
	}
	if err := signal(syscall.SIGKILL, n.AgentPidFile()); err != nil {
		return fmt.Errorf("end the leader's agent: %w", err)
	}
	h.killed = n
	h.healed.Killed, h.healed.Leader, h.healed.Done = time.Now(), n.Name, "killed"
	h.tell(fmt.Sprintf("kill -9 of the agent of %s, which leads and carries a member of the store", n.Name))
	return nil
}
