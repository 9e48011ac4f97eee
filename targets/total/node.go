// Package total is total order broadcast with a fixed sequencer: nodes send
// their messages to one of them, the first, which numbers them; all deliver in
// the order of the numbers.
//
// It follows the fixed-sequencer class, variant unicast–broadcast, of Défago,
// Schiper and Urbán, "Total order broadcast and multicast algorithms: Taxonomy
// and survey", ACM Computing Surveys 36(4), 2004, section 4.1. Theirs is for
// processes that stop; here nodes come back, so that messages are named for
// ever, and logs, numbers and messages not yet delivered are kept on disk.
// There is no takeover: while the sequencer is away, broadcasts wait.
//
// # Records
//
// A node records bcast {"id"} once a client's message is durable there and
// before anybody else learns of it; and deliver {"id","seq"} once a message is
// durable in its log, as number seq from 0. A node that comes back records
// held {"len"}, how many messages its log has, once that is durable, and
// the messages of its last write to disk once more, by the same names and
// numbers: it may have died between the write and the record, and cannot know.
package total

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/torture-harness/torture/node"
)

const (
	tick     = 100 * time.Millisecond // between retransmissions
	batchMax = 128                    // messages of the group in one message of the network
)

// entry is a message and its name. No other message ever has the name, so that
// submitting an entry twice is harmless.
type entry struct {
	ID    string          `json:"id"`
	Value json.RawMessage `json:"v"`
	Seq   int             `json:"n,omitempty"` // its number, from 0, once it has one
	// Early: the planted bug local-first delivered it before it had a number,
	// and Seq is a guess.
	Early bool `json:"early,omitempty"`
}

// What nodes say to each other.
type (
	// submit asks the sequencer to number the entries it does not know.
	submit struct {
		Entries []entry `json:"entries"`
	}
	// ordered, from the sequencer: these entries, at least one, have numbers
	// that follow each other, and there are Total in all.
	ordered struct {
		Entries []entry `json:"entries"`
		Total   int     `json:"total"`
	}
	// fetch asks the sequencer for the messages from From on, if there are any.
	fetch struct {
		From int `json:"from"`
	}
)

// Messages is the codec of what nodes say to each other.
var Messages = node.Messages(submit{}, ordered{}, fetch{})

// member is one of the group.
type member struct {
	bug  string
	life int // boots so far; makes names unique

	log  []entry // what was delivered, in order
	next int     // the number of the message to be delivered next

	mine    []entry                 // accepted from clients here, and not delivered: on disk too
	clients map[string]node.Request // of mine, by id, if of this life

	asked bool // a fetch is under way, in this tick

	known   map[string]bool // the ids in log
	unsaved []node.Change   // at a sequencer with the planted bug: numbers given, not on disk
}

// New makes a node.
func New(o node.Options) node.Node {
	return &member{bug: o.Bug, clients: map[string]node.Request{}, known: map[string]bool{}}
}

func sequencerOf(env *node.Env) node.ID { return env.Peers[0] }

func (m *member) sequences(env *node.Env) bool { return env.ID == sequencerOf(env) }

func (m *member) Start(env *node.Env) {
	for _, key := range env.Keys("log/") {
		var e entry
		env.Read(key, &e)
		m.log, m.known[e.ID] = append(m.log, e), true
		if !e.Early {
			m.next = e.Seq + 1
		}
	}
	for _, key := range env.Keys("mine/") {
		var e entry
		env.Read(key, &e)
		m.mine = append(m.mine, e)
	}
	env.Read("life", &m.life)
	m.life++
	env.Write("life", m.life)
	// Also what an earlier life wrote and did not live to sync, before
	// anybody sees it.
	env.Sync()

	if m.life > 1 {
		env.Record("held", held{len(m.log)})
	}
	for _, e := range m.mine {
		env.Record("bcast", broadcast{e.ID})
	}
	mark := 0 // where the last write to the log began
	env.Read("mark", &mark)
	for _, e := range m.log[mark:] {
		env.Record("deliver", delivery{e.ID, e.Seq})
	}
	if m.sequences(env) {
		env.Role("sequencer", 1)
	} else {
		env.Role("member", 1)
	}
	env.After(tick, "tick")
}

func (m *member) Request(env *node.Env, r node.Request) {
	switch r.F {
	case "broadcast":
		m.broadcast(env, r)
	case "read":
		values := make([]json.RawMessage, 0, len(m.log))
		for _, e := range m.log {
			values = append(values, e.Value)
		}
		env.Reply(r, values)
	default:
		env.Fail(r, fmt.Sprintf("there is no operation %q", r.F))
	}
}

// broadcast accepts a client's message: once it is on disk it will be
// delivered. The client hears of it when it is delivered here.
func (m *member) broadcast(env *node.Env, r node.Request) {
	e := entry{ID: fmt.Sprintf("%s.%d.%d", env.ID, m.life, r.ID), Value: r.Value}
	m.mine = append(m.mine, e)
	m.clients[e.ID] = r
	env.Write("mine/"+e.ID, e)
	env.Sync()
	env.Record("bcast", broadcast{e.ID})
	env.Send(sequencerOf(env), submit{[]entry{e}})
	if m.bug == "local-first" && !m.sequences(env) {
		e.Seq, e.Early = m.next, true
		m.deliver(env, []entry{e})
	}
}

func (m *member) Receive(env *node.Env, from node.ID, message any) {
	switch message := message.(type) {
	case submit:
		if m.sequences(env) {
			m.order(env, message.Entries)
		}
	case ordered:
		if !m.sequences(env) {
			m.ordered(env, message)
		}
	case fetch:
		if m.sequences(env) && message.From < len(m.log) {
			env.Send(from, m.after(message.From))
		}
	}
}

// order gives the next numbers to the entries that have none yet.
func (m *member) order(env *node.Env, entries []entry) {
	entries = slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return m.known[e.ID] })
	if len(entries) == 0 {
		return // whoever misses them fetches them
	}
	for i := range entries {
		entries[i].Seq = m.next + i
	}
	m.deliver(env, entries)
	env.BroadcastOthers(ordered{entries, m.next})
}

// after is what is to be told to a node that has delivered the first from.
func (m *member) after(from int) ordered {
	return ordered{m.log[from:min(from+batchMax, len(m.log))], m.next}
}

// ordered delivers what follows what was delivered before, and fetches what is
// missing: one fetch for each step forward and no more than one a tick for
// want of one. So whatever the network duplicates and reorders, messages do
// not breed.
func (m *member) ordered(env *node.Env, o ordered) {
	from := o.Entries[0].Seq
	if m.bug == "deliver-gap" {
		m.next = max(m.next, from)
	}
	switch had := m.next - from; {
	case had < 0:
		if m.asked {
			return
		}
	case had < len(o.Entries):
		m.deliver(env, o.Entries[had:])
		if m.next >= o.Total {
			return
		}
	default:
		return
	}
	m.asked = true
	env.Send(sequencerOf(env), fetch{m.next})
}

// deliver puts entries at the end of the log, durably, and answers the clients
// who gave them to this node.
func (m *member) deliver(env *node.Env, entries []entry) {
	first := len(m.log)
	changes := []node.Change{node.Put("mark", first)}
	for _, e := range entries {
		changes = append(changes, m.take(e)...)
	}
	if m.bug == "sequencer-reuses-numbers" && m.sequences(env) {
		m.unsaved = append(m.unsaved, changes...) // until the timer fires
	} else {
		env.Batch(changes...)
		env.Sync()
	}
	for _, e := range m.log[first:] {
		env.Record("deliver", delivery{e.ID, e.Seq})
		if r, ok := m.clients[e.ID]; ok {
			env.Reply(r, e.Value, node.Ext{Name: "id", Value: e.ID})
			delete(m.clients, e.ID)
		}
	}
}

// take moves e from mine to the log, and says what that changes on disk.
func (m *member) take(e entry) (changes []node.Change) {
	if !e.Early {
		m.next = e.Seq + 1
		if i := slices.IndexFunc(m.mine, func(p entry) bool { return p.ID == e.ID }); i >= 0 {
			m.mine = slices.Delete(m.mine, i, i+1)
			changes = append(changes, node.Del("mine/"+e.ID))
		}
		if m.bug == "local-first" && m.known[e.ID] {
			return changes
		}
	}
	changes = append(changes, node.Put(fmt.Sprintf("log/%010d", len(m.log)), e))
	m.log, m.known[e.ID] = append(m.log, e), true
	return changes
}

func (m *member) Timer(env *node.Env, _ string) {
	if len(m.unsaved) > 0 {
		env.Batch(m.unsaved...)
		env.Sync()
		m.unsaved = nil
	}
	if len(m.mine) > 0 {
		env.Send(sequencerOf(env), submit{m.mine[:min(batchMax, len(m.mine))]})
	}
	m.asked = false
	if !m.sequences(env) {
		env.Send(sequencerOf(env), fetch{m.next})
	}
	env.After(tick, "tick")
}

// The values of records.
type (
	broadcast struct {
		ID string `json:"id"`
	}
	held struct {
		Len int `json:"len"`
	}
	delivery struct {
		ID  string `json:"id"`
		Seq int    `json:"seq"`
	}
)
