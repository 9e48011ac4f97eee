// Package primary is primary–replica replication, asynchronous unless asked
// otherwise, without failover: one node, the first, orders all writes in its
// log and ships the log; the others repeat it.
//
// The pattern is the primary copy of Stonebraker (IEEE TSE SE-5(3), 1979) as
// log-shipping databases have it; the way to ship a log, with a cursor for
// each replica that goes back to what the replica says it holds, is that of
// AppendEntries in Ongaro and Ousterhout, "In Search of an Understandable
// Consensus Algorithm", USENIX ATC 2014, section 5.3, without terms. There is
// no failover: while the primary is away, writes wait.
//
// What it keeps, whatever happens to messages, processes, machines and clocks:
// a write that was answered is durable at the primary, and at as many replicas
// as asked; what a replica holds is at all times a prefix of the primary's
// log, also across crashes.
//
// # Records
//
// The primary records append {"term":1,"idx","op","does"} once an entry is
// durable, a replica apply {"idx","op"} likewise. does is what the entry
// changes: ["w", key, value] sets a register, ["append", key, value] lengthens
// a list. A node that comes back records the entries of its last write to disk
// once more: it may have died between the write and the record, and cannot
// know. A replica records held {"idx"} once it has the log up to idx on disk
// and before it says so, and every node when it comes back. The operation final
// records final-log {"len","ops"}.
//
// # Answers
//
// Each answer says where in the log it was true: a write by idx, its own place,
// anything else by at, the last place of the log as the node knew it.
package primary

import (
	"fmt"
	"time"

	"github.com/torture-harness/torture/node"
)

const (
	tick        = 100 * time.Millisecond // between heartbeats
	quietMax    = 3                      // ticks without a word from a peer, after which it counts as away
	batchMax    = 128                    // entries of one shipment
	pipelineMax = 16                     // unacknowledged entries above which the primary waits for an answer

	notPrimary = "not the primary" // why a replica refuses

	theTerm = 1 // there is no failover, and so one term
)

// What nodes say to each other.
type (
	// ship carries the entries from From on, maybe none: a heartbeat.
	ship struct {
		From    uint64  `json:"from"`
		Entries []entry `json:"entries,omitempty"`
	}
	// ack answers every ship: the replica holds all entries up to Last, on
	// disk. Refused: it could not take the ship's, for lack of those between.
	ack struct {
		Last    uint64 `json:"last"`
		Refused bool   `json:"refused,omitempty"`
	}
)

// Messages is the codec of what nodes say to each other.
var Messages = node.Messages(ship{}, ack{})

// member is a primary or a replica.
type member struct {
	bug       string
	sync      string // how many replicas must hold a write before it is answered
	atPrimary bool   // replicas serve no reads
	life      uint64 // boots so far; makes the names of operations unique

	store
	durable uint64 // the log is on disk up to here

	// Of a primary.
	cursors map[node.ID]*cursor
	waiting []waiter // in the order of the log

	// Of a replica.
	quiet int // ticks since the primary was last heard
}

// New makes a node.
func New(o node.Options) node.Node {
	return &member{
		bug:       o.Bug,
		sync:      o.Flag("sync"),
		atPrimary: o.Flag("reads") == "primary",
		store:     newStore(),
		cursors:   map[node.ID]*cursor{},
		quiet:     quietMax,
	}
}

func primaryOf(env *node.Env) node.ID { return env.Peers[0] }

func (m *member) leads(env *node.Env) bool { return env.ID == primaryOf(env) }

func (m *member) Start(env *node.Env) {
	m.load(env)
	m.durable = m.last
	env.Read("life", &m.life)
	m.life++
	env.Write("life", m.life)
	// Also what an earlier life wrote and did not live to sync, before
	// anybody sees it.
	env.Sync()

	var mark uint64
	env.Read("mark", &mark)
	for _, e := range m.log {
		if e.Idx >= mark {
			m.record(env, e)
		}
	}
	if m.life > 1 {
		env.Record("held", held{m.last})
	}
	if m.leads(env) {
		env.Role("primary", theTerm)
		for _, id := range env.Peers[1:] {
			// A guess; the replica's answer to the first heartbeat corrects it.
			m.cursors[id] = &cursor{sent: m.last}
		}
	} else {
		env.Role("replica", theTerm)
	}
	env.After(tick, "tick")
}

func (m *member) Request(env *node.Env, r node.Request) {
	switch r.F {
	case "final":
		m.final(env, r)
		return
	case "read":
		if m.leads(env) || !m.atPrimary || m.bug == "replica-serves-reads" {
			m.read(env, r)
			return
		}
	}
	if !m.leads(env) && m.bug != "replica-accepts-writes" {
		env.Fail(r, notPrimary)
		return
	}
	m.update(env, r)
}

func (m *member) Receive(env *node.Env, from node.ID, message any) {
	switch message := message.(type) {
	case ship:
		if !m.leads(env) {
			m.shipped(env, message)
		}
	case ack:
		if c := m.cursors[from]; c != nil {
			m.acked(env, from, c, message)
		}
	}
}

func (m *member) Timer(env *node.Env, _ string) {
	m.quiet++
	if m.leads(env) {
		if m.durable < m.last {
			m.flush(env)
		}
		for _, id := range env.Peers[1:] {
			c := m.cursors[id]
			c.quiet++
			c.rewound = false
			m.ship(env, id, c)
		}
	}
	env.After(tick, "tick")
}

// read serves a key as this node knows it. Beside the value, and at, it says
// which write it is: idx, its place in the log, 0 for none, and op, its name.
func (m *member) read(env *node.Env, r node.Request) {
	c := m.cells[string(r.Key)]
	ext := []node.Ext{{Name: "at", Value: m.last}, {Name: "idx", Value: c.idx}}
	if c.idx > 0 {
		ext = append(ext, node.Ext{Name: "op", Value: c.op})
	}
	if c.list != nil || r.Key == nil { // what has no key is the set
		env.Reply(r, list(c.list), ext...)
		return
	}
	env.Reply(r, c.value, ext...)
}

// update executes an operation that may write, at the primary.
func (m *member) update(env *node.Env, r node.Request) {
	changes, result, err := m.execute(r)
	switch {
	case err != nil:
		env.Fail(r, err.Error())
	case len(changes) == 0:
		env.Reply(r, result, node.Ext{Name: "at", Value: m.last})
	default:
		op := fmt.Sprintf("%s.%d.%d", env.ID, m.life, r.ID)
		m.append(env, entry{Idx: m.last + 1, Op: op, Changes: changes}, waiter{r, m.last + 1, op, result})
	}
}

// append makes e the log's last entry, answers its client if no replica need
// hold it, and ships it.
func (m *member) append(env *node.Env, e entry, w waiter) {
	m.put(env, []entry{e})
	if m.bug != "ack-before-sync" { // it syncs when the timer next fires
		m.flush(env)
	}
	m.record(env, e)
	m.waiting = append(m.waiting, w)
	m.answer(env)
	if m.leads(env) {
		m.shipNew(env)
	}
}

// flush makes the log durable.
func (m *member) flush(env *node.Env) {
	env.Sync()
	m.durable = m.last
}

// record puts into the history what became of e here: the primary appends what
// clients gave to it, a replica applies what another node did.
func (m *member) record(env *node.Env, e entry) {
	if e.writtenAt(env.ID) {
		env.Record("append", appended{theTerm, e.Idx, e.Op, e.does()})
	} else {
		env.Record("apply", applied{e.Idx, e.Op})
	}
}

// final records the whole log, and answers with its length.
func (m *member) final(env *node.Env, r node.Request) {
	ops := make([]string, 0, len(m.log))
	for _, e := range m.log {
		ops = append(ops, e.Op)
	}
	env.Record("final-log", finalLog{len(ops), ops})
	env.Reply(r, len(ops))
}

// The values of records.
type (
	appended struct {
		Term uint64   `json:"term"`
		Idx  uint64   `json:"idx"`
		Op   string   `json:"op"`
		Does [][3]any `json:"does"`
	}
	held struct {
		Idx uint64 `json:"idx"`
	}
	applied struct {
		Idx uint64 `json:"idx"`
		Op  string `json:"op"`
	}
	finalLog struct {
		Len int      `json:"len"`
		Ops []string `json:"ops"`
	}
)
