// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"time"

	"supervisor/cluster"
	"supervisor/internal/obey"
	"supervisor/isolate"
)

// What closes an agent: it goes on observing, abstains from every verdict and
// obeys nothing.

const (
	// mendEvery is how often a state directory that failed is tried again.
	mendEvery = 10 * time.Second
	// twinHold is how long a name stays shared after the other agent's last
	// word, and twinEvery how often this one speaks up, so that the other
	// learns of it too.
	twinHold  = 30 * time.Second
	twinEvery = 10 * time.Second
)

// closed tells why this agent obeys nothing; empty: it obeys.
func (d *desk) closed() string {
	for _, c := range []struct{ code, why string }{
		{"CLUSTER_NAME_WRONG", "this agent is configured for another cluster"},
		{"AGENT_DUPLICATE_NAME", "another agent bears this name"},
	} {
		if _, stands := d.troubles[c.code]; stands {
			return c.why
		}
	}
	return d.refuses
}

// errUnread keeps a file that could not be read from being written over: what
// stands there may be good and is not known.
var errUnread = errors.New("what stands in the state directory could not be read")

// readDisk reads what the agent has on its own disk, each file for itself.
func (d *desk) readDisk() error {
	marks, err := d.a.o.Disk.Marks()
	if err == nil {
		d.marks, d.marksRead = marks, true
	}
	local, lerr := d.a.o.Disk.Local()
	if lerr == nil {
		d.local, d.localRead = local, true
	}
	d.alive = d.a.o.Disk.Alive()
	return errors.Join(err, lerr)
}

// saveMarks writes the marks and believes them when they are on disk.
func (d *desk) saveMarks(marks obey.Marks) error {
	if !d.marksRead {
		return errUnread
	}
	if err := d.a.o.Disk.SaveMarks(marks); err != nil {
		d.stateDirBroken(err)
		return err
	}
	d.marks = marks
	return nil
}

// saveLocal writes the gate's copy and believes it when it is on disk. Nobody
// may rely on a copy that was never read: the gate reads it without the agent.
func (d *desk) saveLocal(local isolate.Local) error {
	if !d.localRead {
		return errUnread
	}
	if err := d.a.o.Disk.SaveLocal(local); err != nil {
		d.stateDirBroken(err)
		return err
	}
	d.local = local
	return nil
}

func (d *desk) stateDirBroken(err error) {
	d.refuses = "the state directory cannot be written: " + err.Error()
	d.mendAt = d.a.o.Clock.Now().Add(mendEvery)
	d.trouble("STATE_DIR_UNWRITABLE", "path", err.Error())
}

// mendDisk tries a state directory that failed again. What stands there
// counts, not what was remembered meanwhile.
func (d *desk) mendDisk(now cluster.Moment) {
	if _, broken := d.troubles["STATE_DIR_UNWRITABLE"]; !broken || now < d.mendAt {
		return
	}
	d.mendAt = now.Add(mendEvery)
	if len(d.inHand) > 0 || d.a.o.Disk.Writable() != nil || d.readDisk() != nil {
		return
	}
	d.refuses = ""
	d.clear("STATE_DIR_UNWRITABLE")
}

// noticeTwin finds another agent of the same name by the key that both
// announce. A key of an earlier boot of this agent is none: it stands before
// this boot was announced.
func (d *desk) noticeTwin(now cluster.Moment) {
	other, stands := d.state.Picture.Agents[d.a.o.Self]
	switch {
	case stands && other.Boot == d.a.o.Boot:
		d.announcedOnce = true
	case stands && d.announcedOnce:
		d.twin = now.Add(twinHold)
	}
	switch {
	case now >= d.twin:
		d.clear("AGENT_DUPLICATE_NAME")
	case now.Sub(d.twinTold) >= twinEvery:
		d.twinTold = now
		// The moment makes the word a new one, so that it is announced again.
		d.trouble("AGENT_DUPLICATE_NAME", "node", string(d.a.o.Self), "at", d.a.o.Clock.Wall().UTC().Format(time.RFC3339))
	}
}
