package docker

import (
	"slices"
	"time"

	"github.com/torture-harness/torture/docker/agent"
	"github.com/torture-harness/torture/nemesis"
)

// leases are the faults in force, in the order of their injection.
type leases []nemesis.Fault

// on returns those of the given kinds that have node for a target.
func (ls leases) on(node string, kinds ...nemesis.Kind) (found leases) {
	for _, l := range ls {
		if slices.Contains(kinds, l.Kind) && slices.Contains(l.Targets, node) {
			found = append(found, l)
		}
	}
	return found
}

// cut tells whether some partition keeps to from hearing from.
func (ls leases) cut(from, to string) bool {
	return slices.ContainsFunc(ls, func(l nemesis.Fault) bool {
		return l.Kind == nemesis.Partition && slices.Contains(l.Params.Drop[to], from)
	})
}

func (ls leases) find(id string) int {
	return slices.IndexFunc(ls, func(l nemesis.Fault) bool { return l.ID == id })
}

// takesDown tells whether faults of kind k end processes.
func takesDown(k nemesis.Kind) bool {
	return k == nemesis.Kill || k == nemesis.Stop || k == nemesis.Power
}

// intent is what a node's container ought to be.
type intent struct {
	down   bool
	gently bool // asked to end, before it is made to
	paused bool
}

func (ls leases) intent(node string) intent {
	return intent{
		down:   len(ls.on(node, nemesis.Kill, nemesis.Stop, nemesis.Power)) > 0,
		gently: len(ls.on(node, nemesis.Kill, nemesis.Power)) == 0,
		paused: len(ls.on(node, nemesis.Pause)) > 0,
	}
}

// rules is what the agent of node ought to do to its traffic: the union of
// the leases. Those of one kind act independently, one after the other.
func (ls leases) rules(node string, nodes []string) agent.Rules {
	var r agent.Rules
	for _, from := range nodes {
		if from != node && ls.cut(from, node) {
			r.Deaf = append(r.Deaf, from)
		}
	}
	for _, l := range ls.on(node, nemesis.Loss, nemesis.Delay, nemesis.Reorder, nemesis.Bandwidth, nemesis.Client) {
		p := l.Params
		switch l.Kind {
		case nemesis.Loss:
			r.Loss = append(r.Loss, p.Probability)
		case nemesis.Delay, nemesis.Reorder:
			r.Hold = append(r.Hold, hold(l))
		case nemesis.Bandwidth:
			r.Rate = slower(r.Rate, p.Rate)
		case nemesis.Client:
			r.Client = true
		}
	}
	for _, to := range nodes {
		for _, l := range ls.on(to, nemesis.Duplicate) {
			if to != node {
				r.Duplicate = append(r.Duplicate, agent.Duplicate{To: to, Probability: l.Params.Probability})
			}
		}
	}
	return r
}

func hold(l nemesis.Fault) agent.Hold {
	h := agent.Hold{Probability: 1, Delay: time.Duration(l.Params.Delay), Jitter: time.Duration(l.Params.Jitter)}
	if l.Kind == nemesis.Reorder {
		h.Probability, h.Jitter = l.Params.Probability, 0
	}
	return h
}

func slower(a, b int64) int64 {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// way is what the leases do to messages from one node to another.
type way struct {
	cut       bool
	loss      float64 // probability
	duplicate float64 // probability that a message arrives more than once
	holds     []agent.Hold
	rate      int64 // bytes per second, or 0
}

func (ls leases) way(from, to string) way {
	w := way{cut: ls.cut(from, to)}
	for _, l := range ls.on(to, nemesis.Loss) {
		w.loss = either(w.loss, l.Params.Probability)
	}
	for _, l := range ls.on(to, nemesis.Duplicate) {
		w.duplicate = either(w.duplicate, l.Params.Probability)
	}
	for _, l := range ls.on(to, nemesis.Delay, nemesis.Reorder) {
		w.holds = append(w.holds, hold(l))
	}
	for _, l := range ls.on(from, nemesis.Bandwidth) {
		w.rate = slower(w.rate, l.Params.Rate)
	}
	return w
}

// either is the probability that one of two independent events happens.
func either(p, q float64) float64 { return 1 - (1-p)*(1-q) }

// holders are the leases that hide, at node or on the way to it from peer, the
// end of f: they do the same there, or keep the node from answering.
func (ls leases) holders(f nemesis.Fault, node, peer string) (ids []string) {
	for _, l := range ls {
		var holds bool
		silent := (takesDown(l.Kind) || l.Kind == nemesis.Pause) && slices.Contains(l.Targets, node)
		switch {
		case l.ID == f.ID:
		case f.Kind == nemesis.Partition:
			holds = l.Kind == f.Kind && slices.Contains(l.Params.Drop[node], peer)
		case takesDown(f.Kind) || f.Kind == nemesis.Pause || f.Kind == nemesis.Clock:
			holds = silent || l.Kind == f.Kind && slices.Contains(l.Targets, node)
		case f.Kind == nemesis.Client:
			holds = silent || l.Kind == f.Kind && slices.Contains(l.Targets, node)
		default:
			holds = l.Kind == f.Kind && slices.Contains(l.Targets, node)
		}
		if holds {
			ids = append(ids, l.ID)
		}
	}
	return ids
}
