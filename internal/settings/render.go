// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"bytes"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/loadbalancer"
	"supervisor/residency"
)

// RenderPolicy writes a policy as people read it: every field, also those
// that are as by default, with a comment. Read again it is the same policy.
func RenderPolicy(p incident.Policy) []byte { return render(p, "", policyComments) }

// InitPolicy writes the first policy of a cluster: its regions and
// datacenters as the hosts stand, mode assist, every default spelled out.
// Without hosts, places to be edited stand in it. Data may stand in every
// region named; strict leaves the rules to the author, and until they are
// written no keyspace of a user is moved.
func InitPolicy(hosts []cluster.Host, pools []loadbalancer.Declared, strict bool) []byte {
	p := incident.DefaultPolicy()
	p.Regions = regionsOf(hosts)
	title := "The policy of this cluster: everything that judging, deciding and the gate go by.\n" +
		"Check it with `supervisor policy check`, put it in force with `supervisor policy apply`."
	if len(hosts) == 0 {
		p.Regions = map[cluster.Region][]cluster.Datacenter{"region1": {"dc1"}}
		title += "\nEDIT the regions below: no hosts were given when this was written."
	}
	for _, dcs := range p.Regions {
		for _, dc := range dcs {
			p.Modes[dc] = incident.Assist
		}
	}
	p.Residency = residency.Open(slices.Sorted(maps.Keys(p.Regions)))
	if strict {
		p.Residency = residency.Policy{}
	}
	p.Pools = pools
	comments := maps.Clone(policyComments)
	if len(pools) == 0 {
		comments["pools"] += poolExample
	}
	return render(p, title, comments)
}

func regionsOf(hosts []cluster.Host) map[cluster.Region][]cluster.Datacenter {
	regions := map[cluster.Region][]cluster.Datacenter{}
	for _, h := range hosts {
		if !slices.Contains(regions[h.Region], h.Datacenter) {
			regions[h.Region] = append(regions[h.Region], h.Datacenter)
			slices.Sort(regions[h.Region])
		}
	}
	return regions
}

func render(p incident.Policy, title string, comments map[string]string) []byte {
	var root yaml.Node
	if err := root.Encode(p); err != nil {
		return nil // no field of a policy can fail to be written
	}
	annotate(&root, "", reflect.TypeFor[incident.Policy](), comments)
	var out bytes.Buffer
	if title != "" {
		out.WriteString(commented(title) + "\n\n")
	}
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&root); err != nil {
		return nil
	}
	return spaced(out.Bytes())
}

// annotate puts the comments at their fields and spells durations shortly.
func annotate(n *yaml.Node, path string, t reflect.Type, comments map[string]string) {
	if t == durations {
		if d, err := time.ParseDuration(n.Value); err == nil {
			n.Value = short(d)
		}
		return
	}
	if n.Kind != yaml.MappingNode || t.Kind() != reflect.Struct {
		if n.Kind == yaml.SequenceNode && !slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return c.Kind != yaml.ScalarNode }) {
			n.Style = yaml.FlowStyle
		}
		for i, each := range n.Content {
			if t.Kind() == reflect.Slice || i%2 == 1 {
				annotate(each, path+"[]", t.Elem(), comments)
			}
		}
		return
	}
	byName := map[string]reflect.Type{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		byName[name] = t.Field(i).Type
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		at := strings.TrimPrefix(path+"."+key.Value, ".")
		if text := comments[at]; text != "" {
			key.HeadComment = commented(text)
		}
		annotate(n.Content[i+1], at, byName[key.Value], comments)
	}
}

func commented(text string) string {
	return "# " + strings.ReplaceAll(text, "\n", "\n# ")
}

// spaced puts an empty line before every section that has a comment.
func spaced(text []byte) []byte {
	var out bytes.Buffer
	before := ""
	for l := range strings.Lines(string(text)) {
		if strings.HasPrefix(l, "#") && strings.TrimSpace(before) != "" && !strings.HasPrefix(before, "#") {
			out.WriteByte('\n')
		}
		out.WriteString(l)
		before = l
	}
	return out.Bytes()
}
