// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"supervisor/internal/demo/node"
	"supervisor/internal/demo/process"
)

// agentGrace is what an agent may take to end cleanly. Nodes and proxy are
// killed at once: nobody needs their state any more.
const agentGrace = 10 * time.Second

// Down ends every process of the demo in dir and removes what the demo made,
// the files only unless keep. It ends nothing but the recorded processes,
// compared by start time, and removes nothing else from the folder. It may be
// called again after an error.
func Down(ctx context.Context, dir string, keep bool) error {
	p, err := Load(dir)
	if err != nil {
		return err
	}
	if err := p.end(ctx); err != nil {
		return fmt.Errorf("end the demo in %s: %w", dir, err)
	}
	if keep {
		return nil
	}
	return p.remove()
}

// end ends the agents first: they would start again what we end.
func (p Plan) end(ctx context.Context) error {
	var agents, rest []string
	for _, n := range p.Nodes {
		agents = append(agents, n.AgentPidFile())
		rest = append(rest, n.PidFile(), n.LANPidFile())
	}
	rest = append(rest, p.Proxy.PidFile())
	return errors.Join(retire(ctx, agents, agentGrace), retire(ctx, rest, 0))
}

// retire ends the processes of all pid files together.
func retire(ctx context.Context, pidFiles []string, grace time.Duration) error {
	errs := make([]error, len(pidFiles))
	var wg sync.WaitGroup
	for i, file := range pidFiles {
		if _, err := os.Stat(filepath.Dir(file)); errors.Is(err, os.ErrNotExist) {
			continue // its folder was never made
		}
		wg.Go(func() { errs[i] = process.Retire(ctx, file, grace) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (p Plan) remove() error {
	for _, n := range p.Nodes {
		if err := node.TurnWritable(n); err != nil { // whoever turned it read-only was ended before it could
			return fmt.Errorf("remove the demo's files: %w", err)
		}
	}
	for _, name := range p.made() {
		if err := os.RemoveAll(filepath.Join(p.Dir, name)); err != nil {
			return fmt.Errorf("remove the demo's files: %w", err)
		}
	}
	if p.MadeDir {
		_ = os.Remove(p.Dir) // fails when somebody else put something in: that stays
	}
	return nil
}
