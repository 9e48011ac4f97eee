package checker

import (
	"context"
	"errors"
	"fmt"

	"github.com/torture-harness/torture/histories"
)

// BroadcastOptions say what was promised.
type BroadcastOptions struct {
	// Order in which messages are delivered: total, fifo, causal, or empty
	// for none.
	Order string `json:"order"`
	// Volatile nodes forget at a restart what they delivered, and deliver it
	// again: each life has a log of its own, and the last is judged.
	Volatile bool `json:"volatile,omitempty"`
	// Acks of a broadcast are given only after the node that gives it has
	// delivered the message: a read at that node, begun later, shows it.
	Acks bool `json:"acks,omitempty"`
}

var broadcastOrders = []string{"", "total", "fifo", "causal"}

// Broadcast checks that messages are broadcast to a group reliably and in the
// promised order. The properties are those of Hadzilacos and Toueg, "A modular
// approach to fault-tolerant broadcasts and related problems", 1994, and, for
// total order, of Défago, Schiper and Urbán, ACM Computing Surveys 36(4),
// 2004.
//
// It reads the nodes' records
//
//	bcast   {"id"}          the node broadcasts a message
//	deliver {"id", "seq"?}  the node delivers it, as the seq-th of its log
//	held    {"len"}         the node's log has so many messages, on its disk
//
// and crash and restart; and it reads what clients saw: broadcast v, and read,
// whose value lists what the node asked had delivered, in order. A client whose
// ops do not name a node has one of its own. Either is enough. A node that crashed and is up again counts as correct. It may record
// once more, with the same seq, what it does not know that it has recorded: a
// record is not durable at the same instant as what it tells of.
//
// Whether messages arrive at all (agreement, validity, lost) is judged only at
// the end of a history that has a final phase after the world has healed.
func Broadcast(o BroadcastOptions) Checker {
	return Func(func(ctx context.Context, h histories.History) Result {
		if err := oneOf("order", o.Order, broadcastOrders); err != nil {
			return unknown("broadcast", err)
		}
		f := find("broadcast")
		end := endingOf(h)
		g := group{findings: f, o: o, end: end}
		if err := g.read(ctx, h); err != nil {
			return unknown("broadcast", err)
		}
		g.agreement()
		g.total()
		c := listeners{findings: f, o: o, end: end}
		if err := c.read(h); err != nil {
			return unknown("broadcast", err)
		}
		c.judge()
		f.stats["messages"], f.stats["deliveries"], f.stats["nodes"] = len(g.ids.texts), g.deliveries, len(g.nodes.names)
		f.stats["broadcasts"], f.stats["reads"] = len(c.sent), len(c.reads)
		f.stats["end-judged"] = end.judged
		r := f.result("")
		if g.deliveries == 0 && len(c.reads) == 0 {
			r.vacuous("nothing was delivered, and no read succeeded")
		}
		return r
	})
}

func oneOf(what, value string, allowed []string) error {
	for _, a := range allowed {
		if a == value {
			return nil
		}
	}
	return fmt.Errorf("%s %q: want one of %q", what, value, allowed)
}

// group is what the nodes recorded.
type group struct {
	*findings
	o          BroadcastOptions
	end        ending
	nodes      nodes
	ids        dictionary
	messages   []message // by id
	members    []*member // by node
	deliveries int
}

type message struct {
	op     int     // its bcast record, or -1
	sender int32   // who broadcast it
	number int32   // 1 for the sender's first
	after  []int32 // causal order: of each sender, how many messages it depends on
}

// member is a node and its log.
type member struct {
	down  bool
	life  int       // crashes and restarts so far
	sent  int32     // messages broadcast
	log   []int32   // ids delivered, in order
	ops   []int     // the records of log
	seqs  []int64   // the numbers that those gave it, if they did
	lives []int     // the lives in which they were made
	place []int32   // of an id, 1 + its position in log; 0: not delivered
	prior [][]int32 // of a sender, its messages delivered too early, by number
	count []int32   // of a sender, how many of its first messages were delivered
}

func (g *group) read(ctx context.Context, h histories.History) error {
	for i := range h.Len() {
		if i%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		n := g.nodes.of(h.Process(i))
		if n == notNode {
			continue
		}
		for int(n) >= len(g.members) {
			g.members = append(g.members, &member{})
		}
		m := g.members[n]
		switch f := h.F(i); f {
		case "crash":
			m.down = true
			m.life++
		case "restart":
			m.down = false
			m.life++
			if g.o.Volatile {
				*m = member{sent: m.sent, life: m.life}
			}
		case "bcast", "deliver":
			op := h.At(i)
			raw := field(op.Value, "id")
			if null(raw) {
				return missing(op, "want an object with the id of a message")
			}
			id := g.ids.of(raw)
			for int(id) >= len(g.messages) {
				g.messages = append(g.messages, message{op: -1, sender: notNode})
			}
			if f == "bcast" {
				g.broadcast(i, n, id)
			} else {
				g.deliver(op, n, id)
			}
		case "held":
			op := h.At(i)
			held, ok := integer(field(op.Value, "len"))
			if !ok || held < 0 {
				return missing(op, "want an object with len, how many messages the node's log has")
			}
			g.holds(i, n, held)
		}
	}
	return nil
}

func (g *group) broadcast(op int, n, id int32) {
	if g.messages[id].op >= 0 {
		return // sent again, by the same name
	}
	m := g.members[n]
	m.sent++
	msg := message{op: op, sender: n, number: m.sent}
	if g.o.Order == "causal" {
		msg.after = append(make([]int32, 0, len(m.count)), m.count...)
	}
	g.messages[id] = msg
}

// holds: a log is not shorter than what was delivered from it. It may be longer,
// by what the node died before it could record.
func (g *group) holds(op int, n int32, held int64) {
	if m := g.members[n]; held < int64(len(m.log)) {
		g.addf("durability-lost", []int{m.ops[held], op}, "op %d: the log of %s has its first %d messages, and not %s, which it had delivered in op %d",
			op, g.nodes.names[n], held, g.ids.name(m.log[held]), m.ops[held])
	}
}

func (g *group) deliver(op histories.Op, n, id int32) {
	g.deliveries++
	m, msg := g.members[n], &g.messages[id]
	seq, numbered := integer(field(op.Value, "seq"))
	if first := m.at(id) - 1; first >= 0 {
		if !numbered || m.seqs[first] != seq || m.lives[first] == m.life {
			g.addf("duplicate-delivery", []int{m.ops[first], op.Index}, "%s delivered %s in op %d and again in op %d",
				g.nodes.names[n], g.ids.name(id), m.ops[first], op.Index)
		}
		return
	}
	if last := len(m.log) - 1; numbered && last >= 0 && g.o.Order == "total" {
		g.numbered(op, n, id, seq, m.seqs[last], m.ops[last])
	}
	if msg.op < 0 {
		g.addf("no-creation", []int{op.Index}, "op %d: %s delivered %s, which nobody had broadcast", op.Index, g.nodes.names[n], g.ids.name(id))
	}
	for int(id) >= len(m.place) {
		m.place = append(m.place, 0)
	}
	m.log, m.ops = append(m.log, id), append(m.ops, op.Index)
	m.seqs, m.lives = append(m.seqs, seq), append(m.lives, m.life)
	m.place[id] = int32(len(m.log))
	if msg.op < 0 {
		return
	}
	switch g.o.Order {
	case "fifo":
		g.fifo(op.Index, n, id)
	case "causal":
		g.causal(op.Index, n, id)
	default:
		return
	}
	m.advance(msg.sender, msg.number)
}

// numbered compares the number that the node gives a delivery with that of the
// one before. A durable log goes on after a restart where it was.
func (g *group) numbered(op histories.Op, n, id int32, seq, last int64, before int) {
	switch name := g.ids.name(id); {
	case seq > last+1:
		g.addf("order-gap", []int{before, op.Index}, "op %d: %s delivered %s as its message %d, but the one before (op %d) was message %d",
			op.Index, g.nodes.names[n], name, seq, before, last)
	case seq <= last:
		g.addf("total-order", []int{before, op.Index}, "op %d: %s delivered %s as its message %d, although it had come to message %d in op %d",
			op.Index, g.nodes.names[n], name, seq, last, before)
	}
}

func (m *member) at(id int32) int32 {
	if int(id) < len(m.place) {
		return m.place[id]
	}
	return 0
}

// delivered is how many of the sender's messages, from its first on, the node
// has delivered without a gap.
func (m *member) delivered(sender int32) int32 {
	if int(sender) < len(m.count) {
		return m.count[sender]
	}
	return 0
}

// advance counts the sender's message of that number.
func (m *member) advance(sender, number int32) {
	for int(sender) >= len(m.count) {
		m.count, m.prior = append(m.count, 0), append(m.prior, nil)
	}
	if number != m.count[sender]+1 {
		m.prior[sender] = append(m.prior[sender], number)
		return
	}
	m.count[sender]++
	for again := true; again; {
		again = false
		for i, early := range m.prior[sender] {
			if early == m.count[sender]+1 {
				m.count[sender]++
				m.prior[sender][i] = m.prior[sender][len(m.prior[sender])-1]
				m.prior[sender] = m.prior[sender][:len(m.prior[sender])-1]
				again = true
				break
			}
		}
	}
}

// compact leaves out repeated ops.
func compact(ops []int) []int {
	var once []int
	for _, op := range ops {
		seen := false
		for _, o := range once {
			seen = seen || o == op
		}
		if !seen {
			once = append(once, op)
		}
	}
	return once
}

var errNoList = errors.New("want a list of messages")
