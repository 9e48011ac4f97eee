package checker

// fifo: all earlier messages of the sender come first.
func (g *group) fifo(op int, n, id int32) {
	msg := g.messages[id]
	if had := g.members[n].delivered(msg.sender); had+1 < msg.number {
		g.addf("fifo-order", []int{op}, "op %d: %s delivered %s, the message %d of %s, before its message %d",
			op, g.nodes.names[n], g.ids.name(id), msg.number, g.nodes.names[msg.sender], had+1)
	}
}

// causal: all that the sender had delivered or broadcast before comes first.
// That it is checked at each step of a chain of causes makes it transitive.
func (g *group) causal(op int, n, id int32) {
	msg, m := g.messages[id], g.members[n]
	if had := m.delivered(msg.sender); had+1 < msg.number {
		g.addf("causal-order", []int{msg.op, op}, "op %d: %s delivered %s, which %s broadcast (op %d) after its own message %d, which %s had not delivered",
			op, g.nodes.names[n], g.ids.name(id), g.nodes.names[msg.sender], msg.op, had+1, g.nodes.names[n])
		return
	}
	for sender, needs := range msg.after {
		if had := m.delivered(int32(sender)); had < needs {
			g.addf("causal-order", []int{msg.op, op}, "op %d: %s delivered %s, which %s broadcast (op %d) after it had delivered message %d of %s, which %s had not delivered",
				op, g.nodes.names[n], g.ids.name(id), g.nodes.names[msg.sender], msg.op, had+1, g.nodes.names[sender], g.nodes.names[n])
			return
		}
	}
}

// agreement: what one node delivers, every correct one does in the end; and a
// correct sender delivers its own message.
func (g *group) agreement() {
	if !g.end.judged {
		return
	}
	for id, msg := range g.messages {
		if msg.op < 0 || msg.op >= g.end.from {
			continue
		}
		by, without, crashed := notNode, notNode, notNode
		for n, m := range g.members {
			switch has := m.at(int32(id)) > 0; {
			case has && m.down:
				crashed = n
			case has && by == notNode:
				by = n
			case !has && !m.down && without == notNode:
				without = n
			}
		}
		name := g.ids.name(int32(id))
		switch sender := g.members[msg.sender]; {
		case without == notNode:
		case by != notNode:
			op := g.members[by].ops[g.members[by].at(int32(id))-1]
			g.addf("agreement", []int{msg.op, op}, "%s delivered %s (op %d), but %s, which is up at the end, did not", g.nodes.names[by], name, op, g.nodes.names[without])
		case crashed != notNode:
			op := g.members[crashed].ops[g.members[crashed].at(int32(id))-1]
			g.addf("uniform-agreement", []int{msg.op, op}, "%s delivered %s (op %d) before it crashed, but %s, which is up at the end, did not",
				g.nodes.names[crashed], name, op, g.nodes.names[without])
		case !sender.down:
			g.addf("validity", []int{msg.op}, "%s broadcast %s (op %d), is up at the end, and nobody delivered it", g.nodes.names[msg.sender], name, msg.op)
		}
		if by != notNode && !g.members[msg.sender].down && g.members[msg.sender].at(int32(id)) == 0 {
			g.addf("validity", []int{msg.op}, "%s broadcast %s (op %d), is up at the end, and did not deliver it itself", g.nodes.names[msg.sender], name, msg.op)
		}
	}
}

// total: the logs are prefixes of one sequence.
func (g *group) total() {
	if g.o.Order != "total" {
		return
	}
	var logs []sequence
	for n, m := range g.members {
		logs = append(logs, sequence{name: g.nodes.names[n], ids: m.log, ops: m.ops, place: func(id int32) int32 { return m.at(id) - 1 }})
	}
	for i, a := range logs {
		for _, b := range logs[i+1:] {
			inversion(g.findings, a, b, g.ids)
		}
	}
	longest := 0
	for i, a := range logs {
		if len(a.ids) > len(logs[longest].ids) {
			longest = i
		}
	}
	for i, a := range logs {
		if i != longest {
			gap(g.findings, a, logs[longest], g.ids)
		}
	}
}

// sequence is somebody's log of deliveries.
type sequence struct {
	name  string
	ids   []int32
	ops   []int                // where each was delivered
	place func(id int32) int32 // its position in ids, or -1
}

// inversion reports the first two messages that a and b delivered in opposite
// order.
func inversion(f *findings, a, b sequence, names dictionary) {
	last, lastID := int32(-1), int32(-1)
	for i, id := range b.ids {
		p := a.place(id)
		if p < 0 || b.place(id) != int32(i) {
			continue
		}
		if p < last {
			ops := []int{a.ops[p], a.ops[last], b.ops[b.place(lastID)], b.ops[b.place(id)]}
			f.addf("total-order", compact(ops), "%s delivered %s before %s (ops %d, %d), %s the other way round (ops %d, %d)",
				a.name, names.name(id), names.name(lastID), ops[0], ops[1], b.name, ops[2], ops[3])
			return
		}
		last, lastID = p, id
	}
}

// gap reports where a, the shorter log, is no prefix of b.
func gap(f *findings, a, b sequence, names dictionary) {
	for i, id := range a.ids {
		if b.ids[i] != id {
			f.addf("order-gap", compact([]int{a.ops[i], b.ops[i]}), "%s delivered %s as its message %d (op %d), where %s delivered %s (op %d)",
				a.name, names.name(id), i+1, a.ops[i], b.name, names.name(b.ids[i]), b.ops[i])
			return
		}
	}
}
