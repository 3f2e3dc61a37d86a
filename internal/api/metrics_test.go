// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"supervisor/incident"
	"supervisor/membership"
)

// gathered is what a scrape of an agent with this snapshot gives.
func gathered(t *testing.T, s Snapshot) (*prometheus.Registry, map[string]*dto.MetricFamily) {
	t.Helper()
	counters := NewCounters()
	counters.Committed(0.004)
	counters.Settled(incident.VerbRepair, incident.Done)
	counters.Refused(incident.PoolFloor)
	counters.Refused("nobody-declared-this")
	counters.Looked(membership.CQL, membership.Silent)
	counters.Lag(0.01)
	counters.CountMail(func() uint64 { return 3 })
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(counters, collector{func(context.Context) (Snapshot, error) { return s, nil }})
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*dto.MetricFamily{}
	for _, f := range families {
		byName[f.GetName()] = f
	}
	return r, byName
}

// value of the one series with these labels; -1 when it is not there.
func value(f *dto.MetricFamily, labels ...string) float64 {
	for _, m := range f.GetMetric() {
		var got []string
		for _, l := range m.GetLabel() {
			got = append(got, l.GetName()+"="+l.GetValue())
		}
		if slices.Equal(got, labels) {
			return m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return -1
}

var labelValue = regexp.MustCompile(`^[A-Za-z0-9_./ -]{0,64}$`)

func testMetrics(t *testing.T, snapshots map[string]Snapshot) {
	t.Helper()
	for name, s := range snapshots {
		r, families := gathered(t, s)
		problems, err := testutil.GatherAndLint(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s: %s", name, p.Metric, p.Text)
		}
		for family, f := range families {
			if !strings.HasPrefix(family, prefix) {
				t.Errorf("%s: %s has not our prefix", name, family)
			}
			for _, m := range f.GetMetric() {
				for _, l := range m.GetLabel() {
					if !labelValue.MatchString(l.GetValue()) {
						t.Errorf("%s: %s{%s=%q}: free text is no label", name, family, l.GetName(), l.GetValue())
					}
				}
			}
		}
		hot(t, name, families)
	}
}

// hot checks that states are one-hot, with every value present.
func hot(t *testing.T, name string, families map[string]*dto.MetricFamily) {
	t.Helper()
	for family, size := range map[string]int{"cluster_state": len(States()), "mode": len(Modes()), "node_verdict": len(Verdicts())} {
		sum, n := map[string]float64{}, map[string]int{}
		for _, m := range families[prefix+family].GetMetric() {
			key := ""
			if len(m.GetLabel()) > 1 {
				key = m.GetLabel()[0].GetValue()
			}
			sum[key] += m.GetGauge().GetValue()
			n[key]++
		}
		for key := range sum {
			if sum[key] != 1 || n[key] != size {
				t.Errorf("%s: %s of %q: %d values, sum %g; want %d and 1", name, family, key, n[key], sum[key], size)
			}
		}
	}
}

// namesOf lists the metrics with their labels and types.
func namesOf(families map[string]*dto.MetricFamily) string {
	var lines []string
	for name, f := range families {
		labels := map[string]bool{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = true
			}
		}
		var sorted []string
		for l := range labels {
			sorted = append(sorted, l)
		}
		slices.Sort(sorted)
		lines = append(lines, fmt.Sprintf("%s{%s} %s", name, strings.Join(sorted, ","), strings.ToLower(f.GetType().String())))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}
