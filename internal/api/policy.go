// SPDX-License-Identifier: Apache-2.0

package api

import (
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/residency"
)

// Policy is the answer of /v1/policy. Document is null while none was applied,
// and where the one that stands cannot be read.
type Policy struct {
	Version  int64            `json:"version"`
	Hash     string           `json:"hash"`
	By       string           `json:"by"`
	Why      string           `json:"why"`
	Unread   bool             `json:"unread"` // version stands, and this agent cannot read it
	Document *incident.Policy `json:"document"`
	Settings []Setting        `json:"settings"` // the document line by line, as people read it
}

// Setting is one value of a policy.
type Setting struct {
	Path  string `json:"path"` // ages.fence
	Value string `json:"value"`
}

// PolicyOf is the policy that stands.
func PolicyOf(s Snapshot) Policy {
	p, version := s.standing()
	if p == nil {
		return Policy{Version: version, Unread: s.World.PolicyUnread != nil, Settings: []Setting{}}
	}
	out := Policy{Version: p.Version, Hash: p.Hash, By: p.By, Why: p.Why, Document: p, Settings: []Setting{}}
	flat := flatten(p)
	for _, path := range slices.Sorted(maps.Keys(flat)) {
		out.Settings = append(out.Settings, Setting{path, flat[path]})
	}
	return out
}

// Change is one difference between two policies. From or to is empty where
// the value is not there.
type Change struct {
	Path string `json:"path"`
	From string `json:"from"`
	To   string `json:"to"`
}

// Plan is what an order would do, and what it rests on.
type Plan struct {
	Hash       string   `json:"hash"` // what an order names
	Verb       string   `json:"verb"`
	Revision   int64    `json:"revision"`   // of the store when it was made
	Base       int64    `json:"base"`       // policy version it was made against
	Version    int64    `json:"version"`    // policy version it would make
	Difference []Change `json:"difference"` // empty: it changes nothing
	// Residency is what may stand where from then on and might not before, and the
	// other way round; null: it is no policy, or there was none.
	Residency *residency.Difference `json:"residency"`
	// Widens lists the data that may stand in more places than before. Then
	// Confirm is the word that has to be typed.
	Widens  []string `json:"widens"`
	Confirm string   `json:"confirm"`
	// Of every other verb: what it would do, line by line, whether it is to be
	// confirmed, and the rule that forbids it, if one does.
	Does    []string    `json:"does"`
	Asks    bool        `json:"asks"`
	Refused *Refusal    `json:"refused"`
	Repair  *RepairPlan `json:"repair,omitempty"` // of repair: what would be compared
}

// VerbPolicyApply is the verb of a policy; the others are incident.AskVerbs.
const VerbPolicyApply = "policy_apply"

// standing is the policy that stands, with its version. One that cannot be read
// is nil, whatever was read before it.
func (s Snapshot) standing() (*incident.Policy, int64) {
	switch p := s.World.Policy; {
	case s.World.PolicyUnread != nil:
		return nil, *s.World.PolicyUnread
	case p != nil:
		return p, p.Version
	}
	return nil, 0
}

// PlanPolicy plans to apply a policy. Its hash covers what would be written
// and the version it replaces, so a world that moved gives another hash.
func PlanPolicy(s Snapshot, next incident.Policy) (Plan, error) {
	old, base := s.standing()
	next.Version, next.By, next.Why = base+1, "", ""
	text, err := json.Marshal(struct {
		Verb   string
		Base   int64
		Policy incident.Policy
	}{VerbPolicyApply, base, next})
	if err != nil {
		return Plan{}, fmt.Errorf("hash the plan: %w", err)
	}
	sum := sha256.Sum256(text)
	p := Plan{Hash: hex.EncodeToString(sum[:])[:12], Verb: VerbPolicyApply, Revision: s.Revision, Base: base, Version: base + 1, Does: []string{}, Asks: true,
		Difference: difference(old, &next), Residency: compared(s, next), Widens: widens(s, next)}
	if len(p.Widens) > 0 {
		p.Confirm = fmt.Sprintf("v%d", p.Version)
	}
	return p, nil
}

func difference(from, to *incident.Policy) []Change {
	a, b := flatten(from), flatten(to)
	paths := map[string]bool{}
	for p := range a {
		paths[p] = true
	}
	for p := range b {
		paths[p] = true
	}
	out := []Change{}
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		if a[p] != b[p] {
			out = append(out, Change{p, a[p], b[p]})
		}
	}
	return out
}

// flatten lists what a policy says, by path, in the words of its document.
func flatten(p *incident.Policy) map[string]string {
	out := map[string]string{}
	if p != nil {
		flattenValue("", reflect.ValueOf(*p), out)
	}
	return out
}

func flattenValue(path string, v reflect.Value, out map[string]string) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	if word, ok := leaf(v); ok {
		if word != "" {
			out[path] = word
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Tag.Get("yaml"); name != "" && name != "-" {
				flattenValue(join(path, strings.Split(name, ",")[0]), v.Field(i), out)
			}
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			flattenValue(join(path, fmt.Sprint(key)), v.MapIndex(key), out)
		}
	case reflect.Slice:
		for i := range v.Len() {
			flattenValue(fmt.Sprintf("%s[%s]", path, entryName(v.Index(i), i)), v.Index(i), out)
		}
	}
}

// leaf renders what has no parts. A list of plain words is one leaf.
func leaf(v reflect.Value) (string, bool) {
	switch x := v.Interface().(type) {
	case time.Duration:
		return short(x), true
	case encoding.TextMarshaler:
		text, err := x.MarshalText()
		return string(text), err == nil
	}
	switch v.Kind() {
	case reflect.Struct, reflect.Map:
		return "", false
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.String {
			return "", false
		}
		var words []string
		for i := range v.Len() {
			words = append(words, v.Index(i).String())
		}
		return strings.Join(words, ", "), true
	}
	return fmt.Sprint(v.Interface()), true
}

// short spells a duration without the parts that are zero: 30m, not 30m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// entryName is what an entry of a list is called: by its name where it has one.
func entryName(v reflect.Value, i int) string {
	if v.Kind() == reflect.Struct {
		if name := v.FieldByName("Name"); name.IsValid() && name.Kind() == reflect.String && name.String() != "" {
			return name.String()
		}
	}
	return fmt.Sprint(i)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// widens lists keyspace and datacenter pairs that the next policy permits and
// the standing one refuses: also a datacenter that goes to another region may
// hold more than before.
// A first policy widens nothing: there was none to keep to. One that cannot be
// read may have permitted nothing of what the next does.
func widens(s Snapshot, next incident.Policy) []string {
	out := []string{}
	old, _ := s.standing()
	switch {
	case s.World.PolicyUnread != nil:
		old = &incident.Policy{}
	case old == nil:
		return out
	}
	witnesses := residency.Witnesses(old.Residency, next.Residency, keyspaceNames(s))
	for _, dc := range allDatacenters(*old, next) {
		for _, w := range witnesses {
			if permits(&next, w.Name, dc) && !permits(old, w.Name, dc) {
				out = append(out, fmt.Sprintf("%s may stand in %s", w.Shown, dc))
			}
		}
	}
	return slices.Compact(out)
}

// compared is the difference by regions; one that cannot be read permitted nothing
// that anybody knows of.
func compared(s Snapshot, next incident.Policy) *residency.Difference {
	old, base := s.standing()
	if base == 0 {
		return nil
	}
	if old == nil {
		old = &incident.Policy{}
	}
	var regions []cluster.Region
	for _, p := range []*incident.Policy{old, &next} {
		regions = slices.AppendSeq(regions, maps.Keys(p.Regions)) // order: Compare sorts them
	}
	d := residency.Compare(old.Residency, next.Residency, keyspaceNames(s), regions)
	return &d
}

// keyspaceNames are those of the ring, as far as it was read.
func keyspaceNames(s Snapshot) []string {
	var out []string
	if s.World.Schema != nil {
		for _, ks := range s.World.Schema.Keyspaces {
			out = append(out, ks.Name)
		}
	}
	return out
}

func permits(p *incident.Policy, keyspace string, dc cluster.Datacenter) bool {
	region, known := p.RegionOf(dc)
	return known && p.Residency.Admit([]string{keyspace}, region) == nil
}

func allDatacenters(policies ...incident.Policy) []cluster.Datacenter {
	set := map[cluster.Datacenter]bool{}
	for _, p := range policies {
		for _, dcs := range p.Regions {
			for _, dc := range dcs {
				set[dc] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(set))
}
