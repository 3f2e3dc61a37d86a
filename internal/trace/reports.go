// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"time"

	"supervisor/cluster"
	"supervisor/membership"
)

// The flags before a report in a list, or before a digest.
const (
	sameSign = 1 << iota // observer, boots and health are those of the one before
	sameAt               // it arrived with the one before; a digest: in this very moment
	sameList             // a digest: about the same nodes by the same paths as the one before
	inMillis             // its spans are whole milliseconds
	unwell
	asList // a digest: not of one piece, so a list follows
)

// reports puts any reports, each for itself.
func (w *writer) reports(list []membership.Report) {
	if list == nil {
		w.number(0)
		return
	}
	w.number(uint64(len(list)) + 1)
	var before membership.Report
	for i := range list {
		r := &list[i]
		flags := byte(0)
		if i > 0 && signedAlike(&before, r) {
			flags |= sameSign
		}
		if i > 0 && arrived(&before) == arrived(r) {
			flags |= sameAt
		}
		unit := unitOf(list[i : i+1])
		flags |= unitFlag(unit)
		if r.Unwell {
			flags |= unwell
		}
		w.octet(flags)
		if flags&sameSign == 0 {
			w.sign(r)
		}
		if flags&sameAt == 0 {
			w.moment(arrived(r))
		}
		w.word(string(r.Subject))
		w.octet(byte(r.Path))
		w.look(&membership.Report{}, r, 0, unit)
		w.extras(&membership.Report{}, r)
		before = *r
	}
}

func (w *writer) sign(r *membership.Report) {
	w.word(string(r.Observer))
	w.word(string(r.Boot))
	w.word(string(r.Process))
}

func (r *reader) reports() []membership.Report {
	n := r.count()
	if n == 0 {
		return nil
	}
	list := []membership.Report{}
	var before membership.Report
	for range n - 1 {
		if r.failed {
			return nil
		}
		flags := r.octet()
		var x membership.Report
		if flags&sameSign != 0 {
			x.Observer, x.Boot, x.Process = before.Observer, before.Boot, before.Process
		} else {
			r.sign(&x)
		}
		x.Unwell = flags&unwell != 0
		at := arrived(&before)
		if flags&sameAt == 0 {
			at = r.moment()
		}
		x.Subject, x.Path = cluster.Name(r.word()), membership.Path(r.octet())
		r.look(&membership.Report{}, &x, 0, unitBy(flags))
		r.extras(&membership.Report{}, &x)
		x.At = at.Add(-x.Age)
		list = append(list, x)
		before = x
	}
	return list
}

func (r *reader) sign(x *membership.Report) {
	x.Observer, x.Boot, x.Process = cluster.Name(r.word()), cluster.Boot(r.word()), cluster.Boot(r.word())
}

// arrived is when the digest of the report came in.
func arrived(r *membership.Report) cluster.Moment { return r.At.Add(r.Age) }

func signedAlike(a, b *membership.Report) bool {
	return a.Observer == b.Observer && a.Boot == b.Boot && a.Process == b.Process && a.Unwell == b.Unwell
}

// unitOf is the unit in which the spans of reports are told without loss.
func unitOf(list []membership.Report) time.Duration {
	for i := range list {
		if list[i].Age%time.Millisecond != 0 || list[i].Held%time.Millisecond != 0 {
			return 1
		}
	}
	return time.Millisecond
}

func unitFlag(unit time.Duration) byte {
	if unit == time.Millisecond {
		return inMillis
	}
	return 0
}

func unitBy(flags byte) time.Duration {
	if flags&inMillis != 0 {
		return time.Millisecond
	}
	return 1
}

// A look is told by how it differs from the one before it on the same path. The
// two highest bits of its first byte say how; mostly that byte is all. The
// outcome of an agent's look has stood for as long as before and the time that
// passed, whether it was looked at again or not.
const (
	still = 0 << 6 // the same look, grown older; 2 bits: what held is off, 4: what the age is
	again = 1 << 6 // looked at again, the same outcome; 2 bits: what held is off, 4: what the age is
	more  = 2 << 6 // so too, but 2 bits: further misses, 4: what held is off; what the age is off follows
	other = 3 << 6 // something else; 6 bits: the outcome; misses, held and age follow
	kinds = 3 << 6
)

// look tells o by p, the last look on its path, and the time that passed
// between them, in units.
func (w *writer) look(p, o *membership.Report, passed int64, unit time.Duration) {
	age, held := int64(o.Age/unit), int64(o.Held/unit)
	older := age - int64(p.Age/unit)
	off := held - int64(p.Held/unit) - passed
	missed := o.Misses - p.Misses
	switch same := o.Outcome == p.Outcome; {
	case same && missed == 0 && fits(off, 2) && fits(older-passed, 8):
		w.octet(still | byte(off+2)<<4 | byte(older-passed+8))
	case same && missed == 0 && fits(off, 2) && fits(older, 8):
		w.octet(again | byte(off+2)<<4 | byte(older+8))
	case same && missed >= 0 && missed < 4 && fits(off, 8):
		w.octet(more | byte(missed)<<4 | byte(off+8))
		w.signed(older)
	default:
		// An outcome that no version knows keeps its byte: 63 says that it follows.
		w.octet(other | min(byte(o.Outcome), 63))
		if o.Outcome >= 63 {
			w.octet(byte(o.Outcome))
		}
		w.signed(int64(o.Misses))
		w.signed(held)
		w.signed(age)
	}
}

// fits tells whether n has room in as many values on either side of zero.
func fits(n, half int64) bool { return n >= -half && n < half }

// look fills in outcome, misses, held and age of o.
func (r *reader) look(p, o *membership.Report, passed int64, unit time.Duration) {
	b := r.octet()
	low := int64(b &^ kinds)
	age, held := int64(p.Age/unit), int64(p.Held/unit)+passed
	o.Outcome, o.Misses = p.Outcome, p.Misses
	switch b & kinds {
	case still:
		age, held = age+passed+low&15-8, held+low>>4-2
	case again:
		age, held = age+low&15-8, held+low>>4-2
	case more:
		o.Misses += int(low >> 4)
		age, held = age+r.signed(), held+low&15-8
	case other:
		o.Outcome = membership.Outcome(low)
		if low == 63 {
			o.Outcome = membership.Outcome(r.octet())
		}
		o.Misses = int(r.signed())
		held, age = r.signed(), r.signed()
	}
	o.Age, o.Held = time.Duration(age)*unit, time.Duration(held)*unit
}

// tells tells whether a look of an agent may say more than its outcome.
func tells(r *membership.Report) bool {
	return r.Path == membership.CQL || r.Path == membership.Process
}

// tookUnits are the units in which what answers take may be told: that of the probe,
// that of a digest, and any.
var tookUnits = []time.Duration{100 * time.Microsecond, time.Microsecond, 1}

// extras tells what answers take and what stands out inside by how they differ from p,
// the last look on the path. The lowest bit says whether what stands out does, the
// next two in which unit the time is told.
func (w *writer) extras(p, o *membership.Report) {
	more, unit := o.Took-p.Took, 0
	for more%tookUnits[unit] != 0 {
		unit++
	}
	inside := boolOctet(o.Inside != p.Inside)
	w.signed(int64(more/tookUnits[unit])<<3 | int64(unit)<<1 | int64(inside))
	if inside == 1 {
		w.octet(byte(o.Inside))
	}
}

// extras fills them in.
func (r *reader) extras(p, o *membership.Report) {
	n := r.signed()
	unit := int(n>>1) & 3
	if unit >= len(tookUnits) {
		r.fail()
		return
	}
	o.Took, o.Inside = p.Took+time.Duration(n>>3)*tookUnits[unit], p.Inside
	if n&1 != 0 {
		o.Inside = membership.Inside(r.octet())
	}
}

// digest puts the reports of one digest by what changed since last, the digest
// of the same observer before it.
func (w *writer) digest(last, d []membership.Report, now cluster.Moment) {
	first := &d[0]
	flags := byte(0)
	unit := unitOf(d)
	if !onePiece(d) {
		w.octet(asList)
		w.reports(d)
		return
	}
	flags |= unitFlag(unit)
	at, passed := arrived(first), int64(0)
	if at == now {
		flags |= sameAt
	}
	if len(last) > 0 {
		passed = between(&last[0], at, unit)
		if last[0].Boot == first.Boot && last[0].Process == first.Process {
			flags |= sameSign
		}
		if alike(last, d) {
			flags |= sameList
		}
	}
	if first.Unwell {
		flags |= unwell
	}
	w.octet(flags)
	if flags&sameSign == 0 {
		w.word(string(first.Boot))
		w.word(string(first.Process))
	}
	if flags&sameAt == 0 {
		w.moment(at)
	}
	if flags&sameList == 0 {
		w.number(uint64(len(d)))
	} else {
		// What passed where the digest was made: the network may have been slower.
		made := int64(d[0].Held/unit) - int64(last[0].Held/unit)
		w.signed(made - passed)
		passed = made
	}
	for i := range d {
		var p membership.Report
		if flags&sameList != 0 {
			p = last[i]
		} else {
			w.word(string(d[i].Subject))
			w.octet(byte(d[i].Path))
		}
		w.look(&p, &d[i], passed, unit)
		if tells(&d[i]) {
			w.extras(&p, &d[i])
		}
	}
}

// between is the time from the arrival of a report to another arrival, in units.
func between(r *membership.Report, at cluster.Moment, unit time.Duration) int64 {
	return int64((at.Sub(arrived(r)) + unit/2) / unit)
}

// onePiece tells whether reports came in one digest.
func onePiece(d []membership.Report) bool {
	at := arrived(&d[0])
	for i := range d {
		if !signedAlike(&d[0], &d[i]) || arrived(&d[i]) != at || !tells(&d[i]) && (d[i].Took != 0 || d[i].Inside != 0) {
			return false
		}
	}
	return true
}

// alike tells whether two digests are about the same nodes by the same paths.
func alike(a, b []membership.Report) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Subject != b[i].Subject || a[i].Path != b[i].Path {
			return false
		}
	}
	return true
}

// digest takes what the writer put of an observer's digest.
func (r *reader) digest(observer cluster.Name, last []membership.Report, now cluster.Moment) []membership.Report {
	flags := r.octet()
	if flags&asList != 0 {
		return r.reports()
	}
	sign := membership.Report{Observer: observer, Unwell: flags&unwell != 0}
	switch {
	case flags&sameSign == 0:
		sign.Boot, sign.Process = cluster.Boot(r.word()), cluster.Boot(r.word())
	case len(last) > 0:
		sign.Boot, sign.Process = last[0].Boot, last[0].Process
	default:
		r.fail()
	}
	at, unit, passed := now, unitBy(flags), int64(0)
	if flags&sameAt == 0 {
		at = r.moment()
	}
	if len(last) > 0 {
		passed = between(&last[0], at, unit)
	}
	n := len(last)
	if flags&sameList == 0 {
		n = r.count()
	} else {
		passed += r.signed()
	}
	if r.failed {
		return nil
	}
	d := make([]membership.Report, n)
	for i := range d {
		d[i] = sign
		var p membership.Report
		if flags&sameList != 0 {
			p = last[i]
			d[i].Subject, d[i].Path = p.Subject, p.Path
		} else {
			d[i].Subject, d[i].Path = cluster.Name(r.word()), membership.Path(r.octet())
		}
		r.look(&p, &d[i], passed, unit)
		if tells(&d[i]) {
			r.extras(&p, &d[i])
		}
		d[i].At = at.Add(-d[i].Age)
	}
	return d
}
