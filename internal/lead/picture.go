// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
	"supervisor/isolate"
	"supervisor/loadbalancer"
	"supervisor/membership"
)

// At is a value with the revision it was read at.
type At[T any] struct {
	Value T
	Mod   int64
}

// Picture is the store as this agent last read it, decoded once. It is owned
// by one loop and changed only by Apply.
type Picture struct {
	Rev        int64 // revision the picture reaches
	whole      int64 // revision at which it was last read whole
	Era        At[EraDoc]
	Level      At[int]
	Policy     At[*incident.Policy]
	Holds      At[incident.Holds]
	Hosts      map[cluster.Name]cluster.Host
	Agents     map[cluster.Name]incident.Agent
	Ledgers    map[cluster.Datacenter]At[incident.Ledger]
	Opens      map[cluster.Name]At[string]
	Records    map[string]At[incident.Record]
	Works      map[string]WorkAt                       // large plans of repairs, by key
	Repairs    map[cluster.Name]At[incident.Record]    // that people asked for, also ended ones
	Archive    map[string]incident.Record              // the newest ones; bounded by archiveKept
	Log        map[cluster.Datacenter][]incident.Entry // in order; bounded by logKept
	Fences     map[cluster.Name]At[isolate.Fence]
	Pools      map[string]At[loadbalancer.Pool]
	Seen       map[cluster.Name]map[cluster.Name]isolate.Seen // by node, by agent
	PoolSeen   map[string]map[cluster.Name]incident.PoolSeen  // by pool, by agent
	Abroad     map[cluster.Region]seenBy                      // what agents say of nodes of other regions
	Orders     map[string]OrderAt                             // by key
	Inbox      map[string]At[Word]                            // by request
	Leader     cluster.Name                                   // who holds the leader key
	Chain      map[cluster.Datacenter]int64                   // journals that do not follow on: the number of the first such event
	Strange    map[string]string                              // key -> why it could not be read: hands off
	candidates map[string]candidate
	tails      map[cluster.Datacenter]string // hash of the last event of each journal, as it is stored
	mods       map[string]int64              // of every key, so that an older change never overwrites
	topology   *membership.Topology          // of Hosts; nil: to be made anew
	open       []incident.Record             // Records by ID; nil: to be listed anew
	memo       *Memo                         // nil: every value is decoded here
}

// OrderAt is an order with its key's revisions; Create is its token.
type OrderAt struct {
	incident.Order
	Mod, Create int64
}

// candidate is one agent's leader key; the oldest leads, the others wait.
type candidate struct {
	name   cluster.Name
	create int64
}

// Word is what an operator said, waiting for the leader to fold it in.
type Word struct {
	Who    string           `json:"who"`
	Verb   string           `json:"verb"` // policy_apply, or one of incident.AskVerbs
	Why    string           `json:"why"`
	Plan   string           `json:"plan"`
	Base   int64            `json:"base"` // policy version the plan was made against
	Policy *incident.Policy `json:"policy,omitempty"`
	About  *incident.About  `json:"about,omitempty"` // of every verb but policy_apply
}

// logKept bounds the journal entries kept in memory per datacenter; the store
// keeps them all.
const logKept = 2000

// archiveKept bounds the closed incidents kept in memory; the store keeps them
// all.
const archiveKept = 200

// NewPicture is the picture of an empty store.
func NewPicture() *Picture {
	p := &Picture{}
	p.reset()
	return p
}

// Share has the picture decode with a memo.
func (p *Picture) Share(m *Memo) { p.memo = m }

func (p *Picture) reset() {
	*p = Picture{memo: p.memo,
		Hosts: map[cluster.Name]cluster.Host{}, Agents: map[cluster.Name]incident.Agent{},
		Ledgers: map[cluster.Datacenter]At[incident.Ledger]{}, Opens: map[cluster.Name]At[string]{},
		Records: map[string]At[incident.Record]{}, Repairs: map[cluster.Name]At[incident.Record]{}, Works: map[string]WorkAt{}, Archive: map[string]incident.Record{},
		Log: map[cluster.Datacenter][]incident.Entry{}, Chain: map[cluster.Datacenter]int64{}, tails: map[cluster.Datacenter]string{},
		Fences: map[cluster.Name]At[isolate.Fence]{}, Pools: map[string]At[loadbalancer.Pool]{},
		Seen:     map[cluster.Name]map[cluster.Name]isolate.Seen{},
		PoolSeen: map[string]map[cluster.Name]incident.PoolSeen{}, Abroad: map[cluster.Region]seenBy{},
		Orders: map[string]OrderAt{}, Inbox: map[string]At[Word]{}, Strange: map[string]string{}, mods: map[string]int64{}, candidates: map[string]candidate{},
	}
}

// Apply takes a batch in. A change that is older than what is known of its
// key is left out: the leader's own commits arrive twice, once by its answer
// and once by the watch, and a watch may be behind a reading of the whole. A
// batch may hold several revisions and a deletion does not tell its own, so of
// each key only the last change counts.
//
// It is false when a whole reading was refused because the picture reaches
// further. The watch goes on after that reading, so what others wrote before it
// never arrives: the whole must be read again.
func (p *Picture) Apply(b store.Batch) (taken bool) {
	if b.Whole {
		if b.Rev < p.Rev {
			return false
		}
		p.reset()
	}
	closed := len(p.Archive)
	last := make(map[string]int, len(b.KVs))
	for i, kv := range b.KVs {
		last[kv.Key] = i
	}
	for i, kv := range b.KVs {
		if last[kv.Key] == i && p.news(kv, b.Rev) {
			p.set(kv)
		}
	}
	if len(p.Archive) > max(closed, archiveKept) {
		p.forgetClosed()
	}
	p.Rev = max(p.Rev, b.Rev)
	if b.Whole {
		p.whole = b.Rev
	}
	return true
}

// forgetClosed keeps the newest closed incidents, and the last one of each
// node: its agent may come back after a long time, and learns there that its
// return is over.
func (p *Picture) forgetClosed() {
	ids := slices.SortedFunc(maps.Keys(p.Archive), func(a, b string) int {
		return cmp.Or(cmp.Compare(p.mods[store.Archived(b)], p.mods[store.Archived(a)]), cmp.Compare(b, a))
	})
	told := map[cluster.Name]bool{}
	for i, id := range ids {
		node := p.Archive[id].Node
		if i >= archiveKept && told[node] {
			delete(p.Archive, id)
		}
		told[node] = true
	}
}

// news tells whether a change is younger than what is known of its key, and
// notes it. What was put before the last whole reading and was not in it had
// been deleted again by then.
func (p *Picture) news(kv store.KV, reach int64) bool {
	at := kv.Mod
	if at == 0 {
		at = reach
	}
	if at < p.mods[kv.Key] || kv.Mod != 0 && (at == p.mods[kv.Key] || at <= p.whole) {
		return false
	}
	p.mods[kv.Key] = at
	return true
}

func (p *Picture) set(kv store.KV) {
	delete(p.Strange, kv.Key)
	if err := p.place(kv); err != nil {
		p.Strange[kv.Key] = err.Error()
	}
}

// place decodes one key into its place; Mod 0 removes it.
func (p *Picture) place(kv store.KV) error {
	gone := kv.Mod == 0
	folder, _, _ := strings.Cut(kv.Key, "/")
	rest := func(f string) string { return strings.TrimPrefix(kv.Key, f) }
	switch folder + "/" {
	case store.Hosts:
		p.topology = nil
		return putIn(p.memo, p.Hosts, cluster.Name(rest(store.Hosts)), kv)
	case store.Agents:
		return putIn(p.memo, p.Agents, cluster.Name(rest(store.Agents)), kv)
	case store.Ledgers:
		return putAt(p.memo, p.Ledgers, cluster.Datacenter(rest(store.Ledgers)), kv)
	case store.Opens:
		return putAt(p.memo, p.Opens, cluster.Name(rest(store.Opens)), kv)
	case store.Incidents:
		p.open = nil
		id := store.Split(kv.Key, store.Incidents)[0]
		defer p.join(id)
		return putAt(p.memo, p.Records, id, kv)
	case store.Works:
		return p.placeWork(kv)
	case store.Repairs:
		return p.placeRepair(cluster.Name(rest(store.Repairs)), kv)
	case store.Archive:
		return putIn(p.memo, p.Archive, rest(store.Archive), kv)
	case store.Fences:
		return putAt(p.memo, p.Fences, cluster.Name(rest(store.Fences)), kv)
	case store.Pools:
		return putAt(p.memo, p.Pools, rest(store.Pools), kv)
	case store.Inbox:
		return putAt(p.memo, p.Inbox, rest(store.Inbox), kv)
	case store.Seens:
		return p.placeSeen(kv)
	case store.Abroads:
		return p.placeAbroad(kv)
	case store.Orders:
		return p.placeOrder(kv, gone)
	case store.Logs:
		return p.placeLog(kv, gone)
	case store.Leaders:
		p.placeLeader(kv, gone)
	case "meta/", "policy/", "holds/":
		return p.placeSingle(kv, gone)
	}
	return nil
}

// placeLeader keeps the candidates: the oldest key leads.
func (p *Picture) placeLeader(kv store.KV, gone bool) {
	if gone {
		delete(p.candidates, kv.Key)
	} else {
		p.candidates[kv.Key] = candidate{cluster.Name(kv.Value), kv.Create}
	}
	p.Leader = ""
	oldest := int64(0)
	for _, key := range slices.Sorted(maps.Keys(p.candidates)) {
		if c := p.candidates[key]; oldest == 0 || c.create < oldest {
			p.Leader, oldest = c.name, c.create
		}
	}
}

func (p *Picture) placeSingle(kv store.KV, gone bool) error {
	switch kv.Key {
	case store.Era:
		return decodeAt(p.memo, &p.Era, kv)
	case store.Level:
		return decodeAt(p.memo, &p.Level, kv)
	case store.Policy:
		if gone {
			p.Policy = At[*incident.Policy]{}
			return nil
		}
		return decodeAt(p.memo, &p.Policy, kv)
	case store.Holds:
		return decodeAt(p.memo, &p.Holds, kv)
	}
	return nil
}

func (p *Picture) placeSeen(kv store.KV) error {
	parts := store.Split(kv.Key, store.Seens)
	if len(parts) != 3 {
		return fmt.Errorf("key has %d parts, want 3", len(parts))
	}
	agent := cluster.Name(parts[0])
	switch parts[1] {
	case "fence":
		node := cluster.Name(parts[2])
		if p.Seen[node] == nil {
			p.Seen[node] = map[cluster.Name]isolate.Seen{}
		}
		return putIn(p.memo, p.Seen[node], agent, kv)
	case "pool":
		if p.PoolSeen[parts[2]] == nil {
			p.PoolSeen[parts[2]] = map[cluster.Name]incident.PoolSeen{}
		}
		return putIn(p.memo, p.PoolSeen[parts[2]], agent, kv)
	}
	return nil
}

// seenBy is what agents say of fenced nodes, by node, by agent.
type seenBy map[cluster.Name]map[cluster.Name]isolate.Seen

func (p *Picture) placeAbroad(kv store.KV) error {
	parts := store.Split(kv.Key, store.Abroads)
	if len(parts) != 3 {
		return fmt.Errorf("key has %d parts, want 3", len(parts))
	}
	region, node := cluster.Region(parts[1]), cluster.Name(parts[2])
	if p.Abroad[region] == nil {
		p.Abroad[region] = seenBy{}
	}
	if p.Abroad[region][node] == nil {
		p.Abroad[region][node] = map[cluster.Name]isolate.Seen{}
	}
	return putIn(p.memo, p.Abroad[region][node], cluster.Name(parts[0]), kv)
}

func (p *Picture) placeOrder(kv store.KV, gone bool) error {
	if gone {
		delete(p.Orders, kv.Key)
		return nil
	}
	o, err := ReadOnce[incident.Order](p.memo, kv, true)
	if err != nil {
		return err
	}
	p.Orders[kv.Key] = OrderAt{Order: o, Mod: kv.Mod, Create: kv.Create}
	return nil
}

// placeLog takes an event in, and notes one whose hash of the one before is
// not that of the one before. Hashed is what is stored: a later version's event
// may have parts that this program does not know. The first event in memory has
// nothing to be compared with.
func (p *Picture) placeLog(kv store.KV, gone bool) error {
	parts := store.Split(kv.Key, store.Logs)
	if gone || len(parts) != 2 {
		return nil
	}
	dc := cluster.Datacenter(parts[0])
	sum := sha256.Sum256(kv.Value)
	before := p.tails[dc]
	p.tails[dc] = hex.EncodeToString(sum[:])
	e, err := ReadOnce[incident.Entry](p.memo, kv, false)
	if err != nil {
		return err
	}
	if _, broken := p.Chain[dc]; !broken && before != "" && before != e.Prev {
		p.Chain[dc] = number(e)
	}
	log := append(p.Log[dc], e)
	p.Log[dc] = log[max(0, len(log)-logKept):]
	return nil
}

func putIn[K comparable, T any](memo *Memo, m map[K]T, k K, kv store.KV) error {
	if kv.Mod == 0 {
		delete(m, k)
		return nil
	}
	v, err := ReadOnce[T](memo, kv, false)
	if err != nil {
		return err
	}
	m[k] = v
	return nil
}

func putAt[K comparable, T any](memo *Memo, m map[K]At[T], k K, kv store.KV) error {
	if kv.Mod == 0 {
		delete(m, k)
		return nil
	}
	v, err := ReadOnce[T](memo, kv, true)
	if err != nil {
		return err
	}
	m[k] = At[T]{Mod: kv.Mod, Value: v}
	return nil
}

func decodeAt[T any](memo *Memo, at *At[T], kv store.KV) error {
	v := At[T]{Mod: kv.Mod}
	if kv.Mod != 0 {
		var err error
		if v.Value, err = ReadOnce[T](memo, kv, true); err != nil {
			return err
		}
	}
	*at = v
	return nil
}

// OpenRecords lists the open records by ID. Nobody may change the list.
func (p *Picture) OpenRecords() []incident.Record {
	if p.open == nil && len(p.Records) > 0 {
		p.open = make([]incident.Record, 0, len(p.Records))
		for _, id := range slices.Sorted(maps.Keys(p.Records)) {
			p.open = append(p.open, p.Records[id].Value)
		}
	}
	return p.open
}

// firstOrder is the first key of an order that is meant.
func (p *Picture) firstOrder(meant func(*OrderAt) bool) (first string, there bool) {
	for key, o := range p.Orders { // order: the least key
		if (!there || key < first) && meant(&o) {
			first, there = key, true
		}
	}
	return first, there
}

// Token is the token of an intent written at mod.
func (p *Picture) Token(mod int64) cluster.Token {
	return cluster.Token{Era: p.Era.Value.Era, Rev: mod}
}
