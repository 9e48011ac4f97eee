package primary

import (
	"slices"

	"github.com/torture-harness/torture/node"
)

// cursor is what the primary knows of a replica.
//
// Shipments go out ahead of acknowledgements. A replica that misses one
// refuses those after it, and the cursor goes back to what the replica holds,
// once a tick at most: otherwise every shipment on its way would be answered
// by another, and under duplication and reordering they would breed.
type cursor struct {
	match   uint64 // the replica holds the log up to here
	sent    uint64 // it has been sent up to here
	quiet   int    // ticks since it was last heard
	rewound bool   // in this tick
}

// waiter is a client whose write is in the log and unanswered.
type waiter struct {
	request node.Request
	idx     uint64
	op      string
	result  any
}

// room tells whether a shipment of entries may go out.
func (m *member) room(c *cursor) bool {
	return c.sent < m.durable && c.sent-c.match < pipelineMax && c.quiet < quietMax
}

// ship sends the next entries that are durable here, or a heartbeat: the
// replica's answer to either says where it is.
func (m *member) ship(env *node.Env, to node.ID, c *cursor) {
	from, entries := c.sent+1, []entry(nil)
	if m.room(c) {
		entries = m.log[c.sent:min(c.sent+batchMax, m.durable)]
		c.sent += uint64(len(entries))
	}
	env.Send(to, ship{From: from, Entries: entries})
}

// shipNew sends what is new to the replicas that are ready for it.
func (m *member) shipNew(env *node.Env) {
	for _, id := range env.Peers[1:] {
		if c := m.cursors[id]; m.room(c) {
			m.ship(env, id, c)
		}
	}
}

func (m *member) acked(env *node.Env, from node.ID, c *cursor, a ack) {
	c.quiet = 0
	c.match = max(c.match, min(a.Last, m.durable))
	c.sent = max(c.sent, c.match)
	if a.Refused && !c.rewound {
		c.sent, c.rewound = c.match, true
	}
	m.answer(env)
	if m.room(c) {
		m.ship(env, from, c)
	}
}

// answer tells the clients whose writes are held by as many as asked for.
func (m *member) answer(env *node.Env) {
	held := m.replicated(env)
	n := 0
	for n < len(m.waiting) && m.waiting[n].idx <= held {
		w := m.waiting[n]
		env.Reply(w.request, w.result, node.Ext{Name: "op", Value: w.op}, node.Ext{Name: "idx", Value: w.idx})
		n++
	}
	m.waiting = slices.Delete(m.waiting, 0, n)
}

// copies is how many of n nodes must hold a write beside the primary, by --sync.
func copies(sync string, n int) int {
	switch sync {
	case "one":
		return min(1, n-1)
	case "quorum":
		return n / 2 // with the primary, a majority
	}
	return 0
}

// replicated is the index up to which enough replicas hold the log.
func (m *member) replicated(env *node.Env) uint64 {
	need := copies(m.sync, len(env.Peers))
	if m.bug == "counts-itself" && need > 0 {
		need-- // among the replicas
	}
	if need == 0 || !m.leads(env) {
		return m.last
	}
	var matches []uint64
	for _, id := range env.Peers[1:] {
		matches = append(matches, m.cursors[id].match)
	}
	slices.Sort(matches)
	return matches[len(matches)-need]
}

// shipped takes what follows what the replica holds, and says how far it is.
func (m *member) shipped(env *node.Env, s ship) {
	back := m.quiet >= quietMax // from a crash, a pause or a partition
	m.quiet = 0
	missing := s.From > m.last+1
	if missing && back && m.bug == "replica-skips-gap" {
		m.last, missing = s.From-1, false
	}
	if missing && m.bug != "replica-reorders" {
		env.Send(primaryOf(env), ack{Last: m.last, Refused: true})
		return
	}
	fresh := slices.DeleteFunc(slices.Clone(s.Entries), func(e entry) bool { return m.has(e.Idx) })
	if len(fresh) > 0 {
		m.put(env, fresh)
		m.flush(env)
		for _, e := range fresh {
			m.record(env, e)
		}
		env.Record("held", held{m.last})
	}
	env.Send(primaryOf(env), ack{Last: m.last, Refused: missing})
}
