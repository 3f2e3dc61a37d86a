// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"crypto/x509"
	"testing"
	"time"

	"supervisor/internal/certs"
)

func (h *host) keeper() *certs.Keeper {
	return certs.NewKeeper(h.files, h.owner, func() time.Time { return h.at })
}

// shows is the serial number of what is handed out now.
func shows(t *testing.T, k *certs.Keeper) string {
	t.Helper()
	s, err := k.Current()
	if err != nil {
		t.Fatal(err)
	}
	return s.Pair.Leaf.SerialNumber.String()
}

func TestWhatIsReplacedIsHandedOutNext(t *testing.T) {
	h := newHost(t)
	k := h.keeper()
	first := shows(t, k)
	h.again(func(*x509.Certificate) {})
	if got := shows(t, k); got != "2" {
		t.Errorf("%s is handed out, %s before", got, first)
	}
	st := k.State()
	if st.Old || len(st.Faults) > 0 || st.Until.Sub(now.AddDate(0, 0, 30)).Abs() > time.Second {
		t.Errorf("it is told as %+v", st)
	}
}

func TestBadFilesDoNotTakeThePlaceOfGoodOnes(t *testing.T) {
	h := newHost(t)
	good := h.read(h.files.Cert)
	for _, row := range []struct {
		why   string
		spoil func()
	}{
		{"half-written", func() { h.write(h.files.Cert, good[:200]) }},
		{"another host's", func() {
			h.again(func(c *x509.Certificate) { c.Subject.CommonName, c.DNSNames = "n2", nil })
		}},
		{"one that has expired already", func() {
			h.again(func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) })
		}},
	} {
		h.write(h.files.Cert, good)
		k := h.keeper()
		first := shows(t, k)
		row.spoil()
		if got := shows(t, k); got != first {
			t.Errorf("%s: taken", row.why)
		}
		if st := k.State(); !st.Old || len(st.Faults) != 1 || st.Faults[0].File != h.files.Cert {
			t.Errorf("%s: told as %+v", row.why, st)
		}
		h.write(h.files.Cert, good)
		if st := k.State(); st.Old || len(st.Faults) > 0 {
			t.Errorf("%s: when it is mended it is told as %+v", row.why, st)
		}
	}
}

// A host whose clock is wrong, or whose files nobody replaced, still tries: the
// other side judges.
func TestExpiredFilesAreHandedOutWhereThereIsNothingBetter(t *testing.T) {
	h := newHost(t)
	h.at = now.AddDate(0, 0, certs.HostDays+3)
	k := h.keeper()
	shows(t, k)
	st := k.State()
	if st.Old || len(st.Faults) != 1 || !st.Faults[0].Passes || len(certs.Lasting(st.Faults)) > 0 {
		t.Errorf("it is told as %+v", st)
	}
	h.again(func(c *x509.Certificate) { c.NotAfter = h.at.AddDate(0, 0, -1) })
	if got := shows(t, k); got != "2" {
		t.Error("of two that have expired the newer one is not taken")
	}
	h.again(func(c *x509.Certificate) { c.NotAfter = h.at.AddDate(0, 0, 1) })
	if st := k.State(); len(st.Faults) > 0 {
		t.Errorf("replaced, it is told as %+v", st)
	}
}

// A pool of connections must not come up with nothing to show.
func TestFilesThatNeverWereInOrderAreNotHandedOut(t *testing.T) {
	h := newHost(t)
	h.write(h.files.Key, "")
	k := h.keeper()
	if s, err := k.Current(); err == nil {
		t.Errorf("handed out: %v", s)
	}
	if st := k.State(); st.Old || !st.Until.IsZero() {
		t.Errorf("it is told as %+v", st)
	}
}
