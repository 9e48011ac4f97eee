package checker

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/torture-harness/torture/histories"
)

// listeners is what clients saw of a broadcast: each read is a prefix of a
// node's log.
type listeners struct {
	*findings
	o     BroadcastOptions
	end   ending
	ids   dictionary
	sent  map[int32]sending
	acked map[string][]int32 // by node: acknowledged broadcasts, in the order of their acks
	reads []listening
}

// sending is a client's broadcast.
type sending struct {
	node       string
	begin, end int // end is never, unless acknowledged
	failed     bool
}

// listening is a client's read.
type listening struct {
	node       string
	final      bool
	begin, end int
	ids        []int32
	raw        []byte
}

func (c *listeners) read(h histories.History) (err error) {
	c.sent, c.acked = map[int32]sending{}, map[string][]int32{}
	eachCall(h, func(begin, end int, outcome histories.Type) {
		switch f := h.F(begin); {
		case err != nil:
		case f == "broadcast":
			id := c.ids.of(h.Value(begin))
			if first, again := c.sent[id]; again {
				err = fmt.Errorf("op %d broadcasts %s again, after op %d: messages must be unique", begin, h.Value(begin), first.begin)
				return
			}
			s := sending{node: nodeOf(h, begin), begin: begin, end: never, failed: outcome == histories.Fail}
			if outcome == histories.OK {
				s.end = end
				c.acked[s.node] = append(c.acked[s.node], id)
			}
			c.sent[id] = s
		case f == "read" && outcome == histories.OK:
			c.reads = append(c.reads, listening{node: nodeOf(h, begin), final: h.Final(begin), begin: begin, end: end, raw: h.Value(end)})
		}
	})
	if err != nil {
		return err
	}
	for _, acked := range c.acked {
		slices.SortFunc(acked, func(a, b int32) int { return cmp.Compare(c.sent[a].end, c.sent[b].end) })
	}
	slices.SortFunc(c.reads, func(a, b listening) int { return cmp.Compare(a.end, b.end) })
	last := map[string]listening{}
	for i := range c.reads {
		r := &c.reads[i]
		if err := c.list(r, last[r.node]); err != nil {
			return fmt.Errorf("op %d (read): value %.80s: %w", r.end, r.raw, err)
		}
		last[r.node] = *r
	}
	return nil
}

// nodeOf is the node that call i was about. Where a history does not name nodes,
// each client has one of its own, as Jepsen's have.
func nodeOf(h histories.History, i int) string {
	return cmp.Or(h.Node(i), "process "+h.Process(i).String())
}

// list decodes what r saw. A log mostly grows, so that the text begins as that
// of the read before.
func (c *listeners) list(r *listening, before listening) error {
	raw := r.raw
	if head, ok := bytes.CutSuffix(before.raw, []byte("]")); ok && len(before.ids) > 0 && bytes.HasPrefix(raw, head) {
		rest := raw[len(head):]
		if rest[0] == ']' {
			r.ids = before.ids
			return nil
		}
		if rest[0] == ',' {
			r.ids = before.ids
			raw = append([]byte{'['}, rest[1:]...)
		}
	}
	if null(raw) {
		return nil
	}
	if !elements(raw, func(e []byte) { r.ids = append(r.ids, c.ids.of(e)) }) {
		return errNoList
	}
	return nil
}

func (c *listeners) judge() {
	c.content()
	c.growth()
	switch c.o.Order {
	case "total":
		c.total()
	case "fifo":
		c.fifo("fifo-order")
	case "causal":
		c.fifo("causal-order")
	}
	c.lost()
}

// content: every message was broadcast, and is there once. Of a message that
// many reads show, the first is reported.
func (c *listeners) content() {
	phantom := make([]bool, len(c.ids.texts))
	good := make([]int, len(c.ids.texts)) // 1 + the begin of a broadcast that did not fail
	for id, s := range c.sent {
		if !s.failed {
			good[id] = s.begin + 1
		}
	}
	var seen marks
	for _, r := range c.reads {
		seen.empty(len(c.ids.texts))
		for _, id := range r.ids {
			if seen.has(id) {
				c.addf("duplicate", []int{r.end}, "op %d: %s had delivered %s twice", r.end, r.node, c.ids.name(id))
			}
			seen.set(id)
			if phantom[id] || good[id] > 0 && good[id] <= r.end {
				continue
			}
			phantom[id] = true
			s, known := c.sent[id]
			switch {
			case !known:
				c.addf("phantom", []int{r.end}, "op %d: %s had delivered %s, which nobody broadcast", r.end, r.node, c.ids.name(id))
			case s.failed:
				c.addf("phantom", []int{s.begin, r.end}, "op %d: %s had delivered %s, whose broadcast (op %d) failed", r.end, r.node, c.ids.name(id), s.begin)
			default:
				c.addf("phantom", []int{r.end, s.begin}, "op %d: %s had delivered %s before it was broadcast in op %d", r.end, r.node, c.ids.name(id), s.begin)
			}
		}
	}
}

// growth: a node's log only grows. Of any two reads of a node one is a prefix of
// the other, and a read is not shorter than one that ended before it began. It
// is enough to compare each with the longest of those that ended before.
func (c *listeners) growth() {
	if c.o.Volatile {
		return
	}
	byNode := map[string][]listening{}
	for _, r := range c.reads {
		byNode[r.node] = append(byNode[r.node], r)
	}
	for _, node := range sortedKeys(byNode) {
		reads := byNode[node] // in the order of their ends
		begins := slices.Clone(reads)
		slices.SortFunc(begins, func(a, b listening) int { return cmp.Compare(a.begin, b.begin) })
		var longest listening
		differ := func(before, r listening, place int) {
			entry := func(l listening) string {
				if place < len(l.ids) {
					return c.ids.name(l.ids[place])
				}
				return "nothing"
			}
			c.addf("non-monotonic-read", []int{before.end, r.end}, "op %d: the message %d of %s was %s; then, in op %d, it was %s",
				before.end, place+1, node, entry(before), r.end, entry(r))
		}
		for len(reads) > 0 {
			if len(begins) > 0 && begins[0].begin <= reads[0].end {
				if r := begins[0]; len(r.ids) < len(longest.ids) {
					differ(longest, r, len(r.ids))
				}
				begins = begins[1:]
				continue
			}
			r := reads[0]
			if i := diverge(longest.ids, r.ids); i < min(len(longest.ids), len(r.ids)) {
				differ(longest, r, i)
			}
			if len(r.ids) > len(longest.ids) {
				longest = r
			}
			reads = reads[1:]
		}
	}
}

// diverge returns the first position at which a and b differ, or the length
// of the shorter.
func diverge(a, b []int32) int {
	n := min(len(a), len(b))
	if n > 0 && &a[0] == &b[0] {
		return n
	}
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// total: of any two reads one is a prefix of the other. Every node's longest
// read stands for the others, which growth compares with it.
func (c *listeners) total() {
	byNode := map[string]listening{}
	for _, r := range c.reads {
		if known, ok := byNode[r.node]; !ok || len(r.ids) > len(known.ids) {
			byNode[r.node] = r
		}
	}
	var logs []sequence
	longest := 0
	for _, node := range sortedKeys(byNode) {
		r := byNode[node]
		place := make(map[int32]int32, len(r.ids))
		ops := make([]int, len(r.ids))
		for i, id := range r.ids {
			if _, twice := place[id]; !twice {
				place[id] = int32(i)
			}
			ops[i] = r.end
		}
		logs = append(logs, sequence{node, r.ids, ops, func(id int32) int32 {
			if p, ok := place[id]; ok {
				return p
			}
			return -1
		}})
		if len(r.ids) > len(logs[longest].ids) {
			longest = len(logs) - 1
		}
	}
	for i, a := range logs {
		for _, b := range logs[i+1:] {
			inversion(c.findings, a, b, c.ids)
		}
		if i != longest {
			gap(c.findings, a, logs[longest], c.ids)
		}
	}
}

// fifo: a node that delivered a message has delivered before it what the same
// node had acknowledged when that message's broadcast began.
func (c *listeners) fifo(kind string) {
	reported := map[[2]int32]bool{}
	var seen marks
	for _, r := range c.reads {
		seen.empty(len(c.ids.texts))
		upTo := map[string]int{} // of a sender, how many acknowledged broadcasts were seen, without a gap
		for _, id := range r.ids {
			seen.set(id)
			s, known := c.sent[id]
			if !known {
				continue
			}
			acked := c.acked[s.node]
			n := upTo[s.node]
			for n < len(acked) && seen.has(acked[n]) {
				n++
			}
			upTo[s.node] = n
			if n == len(acked) || c.sent[acked[n]].end > s.begin || reported[[2]int32{acked[n], id}] {
				continue
			}
			reported[[2]int32{acked[n], id}] = true
			first := c.sent[acked[n]]
			c.addf(kind, []int{first.end, s.begin, r.end}, "op %d: %s had delivered %s (op %d) and not before it %s, which %s had acknowledged in op %d, before that was broadcast",
				r.end, r.node, c.ids.name(id), s.begin, c.ids.name(acked[n]), s.node, first.end)
		}
	}
}

// lost: what was acknowledged before the final phase is in every final read;
// and, if acks promise so, in every later read at the node that acknowledged.
func (c *listeners) lost() {
	gone := map[int32]bool{}
	var seen marks
	for _, r := range c.reads {
		final := r.final && c.end.judged
		if !final && !c.o.Acks {
			continue
		}
		seen.empty(len(c.ids.texts))
		for _, id := range r.ids {
			seen.set(id)
		}
		for _, node := range sortedKeys(c.acked) {
			if !final && node != r.node {
				continue
			}
			for _, id := range c.acked[node] {
				s := c.sent[id]
				if s.end > r.begin {
					break
				}
				due := final && s.end < c.end.from || c.o.Acks && node == r.node
				if due && !gone[id] && !seen.has(id) {
					gone[id] = true
					c.addf("lost", []int{s.end, r.end}, "%s acknowledged %s in op %d, but %s had not delivered it in op %d", s.node, c.ids.name(id), s.end, r.node, r.end)
				}
			}
		}
	}
}
