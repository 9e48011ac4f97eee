package sim

import "slices"

// resume lets m live through what came while it was paused. It is all late at
// once: each connection keeps its order, and in which order the process looks
// at its connections is anybody's guess.
func (w *World) resume(m *machine) {
	held := m.held
	m.held = nil
	d := w.stream("resume/" + string(m.id)).draw(w.now)
	for _, i := range interleaved(&d, w.connections(held)) {
		w.happen(&held[i])
	}
}

// connection is a way by which events reach a machine in the order in which
// they came.
type connection struct {
	kind uint8
	from int32 // the peer, or the client
}

// connections are the indices of events by the connection on which each came,
// the events of one in their order. A link that is no TCP connection keeps no
// order: each message on it stands alone. Timers fire in the order in which
// they are due.
func (w *World) connections(held []event) (queues [][]int) {
	at := map[connection]int{}
	for i, ev := range held {
		c := connection{kind: ev.kind}
		switch ev.kind {
		case arrive:
			if c.from = ev.from; !w.link(ev.from, ev.to).fifo {
				queues = append(queues, []int{i})
				continue
			}
		case request:
			c.from = int32(ev.call.op.Process)
		}
		k, known := at[c]
		if !known {
			k = len(queues)
			at[c], queues = k, append(queues, nil)
		}
		queues[k] = append(queues[k], i)
	}
	return queues
}

// interleaved merges queues, each in its order. Whoever reads a connection
// often reads more than one message of it: half of the time the next comes from
// the same, else from any.
func interleaved(d *dice, queues [][]int) (merged []int) {
	last := -1
	for len(queues) > 0 {
		if last < 0 || d.chance(0.5) {
			last = d.intn(len(queues))
		}
		merged = append(merged, queues[last][0])
		if queues[last] = queues[last][1:]; len(queues[last]) == 0 {
			queues, last = slices.Delete(queues, last, last+1), -1
		}
	}
	return merged
}
