// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"supervisor/internal/demo/node"
)

// Options are complete: nothing is defaulted later.
type Options struct {
	Dir    string  // absolute; keeps the lines, and the cluster while it runs
	Faults []Fault // each at most once
	Runs   int     // how many times each fault is given in each half
	Binary string  // absolute; the supervisor
	Net    string  // first three numbers of a loopback network
	Out    io.Writer
}

// RunsMax bounds a measurement; a hundred of each fault take more than a day.
const RunsMax = 200

// Bounds and paces.
const (
	lookMax   = 40 * time.Second // a fault is ended then, whoever has noticed
	restMax   = 4 * time.Minute  // until the cluster is at rest before a fault
	restQuiet = 3 * time.Second  // that long nothing may be found that is not
	backMax   = 3 * time.Minute  // from the end of a fault until the node answers, without us
	closedMax = 5 * time.Minute  // from the end of a fault until the incident is closed
	lookEvery = 200 * time.Millisecond
	viewEvery = 20 * time.Millisecond // how often the leader's view is read
	viewMax   = 500 * time.Millisecond
	// proxyEvery is small against what is measured: half a second and more.
	proxyEvery = 10 * time.Millisecond
	// A process that is 10 times slower runs a tenth of the time.
	stoppedFor = 90 * time.Millisecond
	runsFor    = 10 * time.Millisecond
	flushMax   = 10 * time.Second
)

// Check finds what is wrong before anything is started.
func (o Options) Check() error {
	var faults []error
	if o.Runs < 1 || o.Runs > RunsMax {
		faults = append(faults, fmt.Errorf("%d runs: want 1 to %d", o.Runs, RunsMax))
	}
	if len(o.Faults) == 0 {
		faults = append(faults, fmt.Errorf("no fault: want some of %s", join(Faults())))
	}
	if slices.Contains(o.Faults, Disk) && os.Geteuid() != 0 {
		faults = append(faults, fmt.Errorf("fault %s: %w; run it as root, or without that fault", Disk, node.ErrNotRoot))
	}
	if !filepath.IsAbs(o.Dir) || o.Binary == "" || o.Out == nil {
		faults = append(faults, errors.New("an absolute folder, the supervisor and where to tell: want all of them"))
	}
	return errors.Join(faults...)
}

// Results is the file of what was measured in a folder.
func Results(dir string) string { return filepath.Join(dir, "results.jsonl") }

// cluster is the demo's folder; short, for sockets are in there.
func (o Options) cluster() string { return filepath.Join(o.Dir, "c") }
