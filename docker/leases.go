package docker

import (
	"maps"
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

// between returns those of kind k that act on messages from one node to another.
func (ls leases) between(from, to string, k nemesis.Kind) (found leases) {
	for _, l := range ls {
		if l.Kind == k && l.ActsOn(from, to) {
			found = append(found, l)
		}
	}
	return found
}

// cut tells whether some partition keeps to from hearing from.
func (ls leases) cut(from, to string) bool { return len(ls.between(from, to, nemesis.Partition)) > 0 }

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
	rates := map[string]int64{}
	for _, l := range ls {
		p := l.Params
		at := slices.Contains(l.Targets, node)
		switch {
		case l.Kind == nemesis.Loss && (at || p.To == node):
			r.Loss = append(r.Loss, agent.Loss{From: p.From, Probability: p.Probability})
		case (l.Kind == nemesis.Delay || l.Kind == nemesis.Reorder) && (at || p.To == node):
			r.Hold = append(r.Hold, hold(l))
		case l.Kind == nemesis.Bandwidth && (at || p.From == node):
			rates[p.To] = slower(rates[p.To], p.Rate)
		case l.Kind == nemesis.Client && at:
			r.Client = true
		}
	}
	for _, to := range slices.Sorted(maps.Keys(rates)) {
		r.Rate = append(r.Rate, agent.Rate{To: to, Rate: rates[to]})
	}
	for _, to := range nodes {
		for _, l := range ls.between(node, to, nemesis.Duplicate) {
			r.Duplicate = append(r.Duplicate, agent.Duplicate{To: to, Probability: l.Params.Probability})
		}
	}
	return r
}

func hold(l nemesis.Fault) agent.Hold {
	h := agent.Hold{From: l.Params.From, Probability: 1, Delay: time.Duration(l.Params.Delay), Jitter: time.Duration(l.Params.Jitter)}
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
	for _, l := range ls {
		if !l.ActsOn(from, to) {
			continue
		}
		switch l.Kind {
		case nemesis.Loss:
			w.loss = either(w.loss, l.Params.Probability)
		case nemesis.Duplicate:
			w.duplicate = either(w.duplicate, l.Params.Probability)
		case nemesis.Delay, nemesis.Reorder:
			w.holds = append(w.holds, hold(l))
		case nemesis.Bandwidth:
			w.rate = slower(w.rate, l.Params.Rate)
		}
	}
	return w
}

// either is the probability that one of two independent events happens.
func either(p, q float64) float64 { return 1 - (1-p)*(1-q) }

// holders are the leases that hide, at node, the end of f: they do the same
// there, or keep the node from answering. Of links, see inTheWay.
func (ls leases) holders(f nemesis.Fault, node string) (ids []string) {
	if linked(f.Kind) {
		return nil
	}
	for _, l := range ls {
		silent := takesDown(l.Kind) || l.Kind == nemesis.Pause
		if l.ID != f.ID && (silent || l.Kind == f.Kind) && slices.Contains(l.Targets, node) {
			ids = append(ids, l.ID)
		}
	}
	return ids
}

// hidden are the leases that keep the beginning of f from being seen at node: it
// takes effect when they end, or they had its effect before.
func (ls leases) hidden(f nemesis.Fault, node string) (ids []string) {
	own := ls.find(f.ID)
	for i, l := range ls {
		down := takesDown(l.Kind)
		var hides bool
		switch f.Kind {
		case nemesis.Kill, nemesis.Stop: // power still loses what was not synced
			hides = down && i < own
		case nemesis.Pause:
			hides = down || l.Kind == f.Kind && i < own
		case nemesis.Client:
			hides = down || l.Kind == nemesis.Pause || l.Kind == f.Kind && i < own
		case nemesis.Clock:
			p, q := f.Params, l.Params
			swing := l.Kind == f.Kind && q.Shape == "strobe"
			hides = down || l.Kind == nemesis.Pause || swing && p.Shape == "strobe" ||
				swing && p.Shape == "jump" && time.Duration(p.Offset-q.Offset).Abs() <= clockTolerance
		}
		if hides && l.ID != f.ID && slices.Contains(l.Targets, node) {
			ids = append(ids, l.ID)
		}
	}
	return ids
}

// linked tells whether faults of kind k are about messages between nodes.
func linked(k nemesis.Kind) bool {
	switch k {
	case nemesis.Partition, nemesis.Loss, nemesis.Delay, nemesis.Duplicate, nemesis.Reorder, nemesis.Bandwidth:
		return true
	}
	return false
}
