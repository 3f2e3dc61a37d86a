// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"maps"
	"time"

	"supervisor/cluster"
	"supervisor/repair"
)

// load NAME compactions=200: what its agent says of its Cassandra's load, which is
// quiet; load NAME silent; load NAME: quiet again. From then on the policy heeds loads.
func init() { commands["load"] = (*stage).loadIs }

// loads are what agents say of their Cassandras, where that is not that they are
// quiet; nil: nothing.
type loads struct {
	said map[cluster.Name]*repair.Load
	was  map[cluster.Name]Loaded
}

// tell puts a fresh word into every agent's mouth.
func (l *loads) tell(w *World) {
	says := func(n cluster.Name) *repair.Load {
		load := repair.Load{Free: 500, Total: 1000}
		if as, told := l.said[n]; told {
			if as == nil {
				return nil
			}
			load = *as
		}
		load.Reading, load.Moved = int64(w.Now), int64(w.Now)
		return &load
	}
	w.Agents = maps.Clone(w.Agents)
	for n, a := range w.Agents { // order: each for itself
		a.Load = says(n)
		w.Agents[n] = a
	}
	w.Abroad = maps.Clone(w.Abroad)
	for n, f := range w.Abroad { // order: each for itself
		f.Agent.Load = says(n)
		w.Abroad[n] = f
	}
	l.was = w.NowLoaded(l.was)
	w.Loads = l.was
}

func (s *stage) loadIs(names []cluster.Name, args map[string]string) string {
	p := s.policy
	p.Repair.HeedLoad = true
	s.policy, s.w.Policy = p, &p
	if s.loads.said == nil {
		s.loads.said = map[cluster.Name]*repair.Load{}
	}
	load := &repair.Load{Free: 500, Total: 1000}
	for k, v := range args {
		switch k {
		case "compactions":
			load.Compactions = int64(s.number(v))
		case "dropped":
			load.Dropped = int64(s.number(v))
		case "free":
			load.Free = int64(s.number(v))
		case "latency":
			d, err := time.ParseDuration(v)
			if err != nil {
				s.t.Fatal(err)
			}
			load.Latency = d
		case "validations":
			load.Validations = int64(s.number(v))
		case "sessions":
			load.Sessions = int64(s.number(v))
		case "own":
			load.Own = int64(s.number(v))
		default:
			s.t.Fatalf("a load has no %q", k)
		}
	}
	s.loads.said[names[0]] = load
	if len(names) > 1 && names[1] == "silent" {
		s.loads.said[names[0]] = nil
	}
	return ""
}
