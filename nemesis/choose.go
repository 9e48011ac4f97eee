package nemesis

import (
	"math/rand/v2"
	"slices"
)

// A scene is what a fault is chosen for: the cluster as it is now.
type scene struct {
	nodes     []string
	primaries []string
	inForce   []Fault // or on the way in or out
	budget    int     // nodes that may be unable to answer
}

// A draft is a fault before it is known whom it can hit: as many as possible
// of the first of pool, at most and at least so many. A shape that has no
// victims has no pool.
type draft struct {
	pool        []string // in random order
	most, least int
	fault       func(victims []string) Fault
}

// An outcome says what came of choosing a fault.
type outcome int

const (
	chosen  outcome = iota
	blocked         // there is one, once others are over
	nothing         // there is none, as things are
)

// choose draws a fault of kind k, without ID, by the first of the terms that
// the scene allows, with fewer victims if need be. Half of the draws insist on
// the first term that is possible at all, and on all its victims, and rather
// wait for other faults to be over: else there would be no large faults where
// several kinds compete for the budget.
func choose(r *rand.Rand, k Kind, terms []term, s scene) (Fault, outcome) {
	insist := r.IntN(2) == 0 && k.Disabling()
	params := drawParams(r, k)
	empty := s
	empty.inForce = nil
	result := nothing
	for _, t := range terms {
		d := t.draft(r, k, params, s)
		_, most, possible := d.fit(empty, d.least)
		if !possible {
			continue
		}
		least := d.least
		if insist {
			least = most
		}
		if f, _, ok := d.fit(s, least); ok {
			return f, chosen
		}
		result = blocked
		if insist {
			break
		}
	}
	return Fault{}, result
}

// fit makes d a fault of at least so many victims that s allows, and tells
// their number.
func (d draft) fit(s scene, least int) (f Fault, n int, ok bool) {
	if d.fault == nil {
		return f, 0, false
	}
	pool := d.pool
	if k := d.fault(nil).Kind; k.halting() || k == Clock {
		pool = without(pool, halted(s.inForce)) // there would be nothing to see
	}
	for n := min(d.most, len(pool)); n >= least; n-- {
		f := d.fault(without(s.nodes, without(s.nodes, pool[:n])))
		switch {
		case f.Kind == Partition && len(f.Params.Drop) == 0:
		case f.Kind.Disabling() && Unable(s.nodes, append(slices.Clone(s.inForce), f)...) > s.budget:
		default:
			return f, n, true
		}
	}
	return f, 0, false
}

// draft makes t a draft for kind k. It is empty if t means nobody now.
func (t term) draft(r *rand.Rand, k Kind, params Params, s scene) draft {
	n := len(s.nodes)
	var d draft
	switch t.word {
	case "one":
		d.pool, d.most, d.least = shuffled(r, s.nodes), 1, 1
	case "minority":
		d.pool, d.most, d.least = shuffled(r, s.nodes), 1+r.IntN(max(1, minority(n))), 1
	case "minority-third":
		d.pool, d.most, d.least = shuffled(r, s.nodes), 1+r.IntN(max(1, (n-1)/3)), 1
	case "majority":
		d.pool, d.most, d.least = shuffled(r, s.nodes), majority(n), majority(n)
	case "all":
		d.pool, d.most, d.least = s.nodes, n, n
	case "primaries":
		d.pool, d.most, d.least = shuffled(r, s.primaries), len(s.primaries), 1
	case "others":
		if len(s.primaries) > 0 {
			d.pool, d.most, d.least = shuffled(r, without(s.nodes, s.primaries)), n, 1
		}
	case mildest.word:
		d.pool, d.most, d.least = shuffled(r, without(s.nodes, s.primaries)), 1, 1
	case "one-way":
		d.pool, d.most, d.least = shuffled(r, s.nodes), 1+r.IntN(max(1, minority(n))), 1
	case "":
		d.pool, d.most, d.least = t.names, len(t.names), len(t.names)
	}
	if k == Partition {
		return t.cut(r, d, params, s.nodes)
	}
	if len(d.pool) == 0 {
		return draft{}
	}
	if k == Clock {
		d.least = 1 // "all" are those whose clocks can be seen
	}
	d.fault = func(victims []string) Fault { return Fault{Kind: k, Targets: victims, Params: params} }
	return d
}

// cut makes d, the nodes that t means, the draft of a partition.
func (t term) cut(r *rand.Rand, d draft, params Params, nodes []string) draft {
	shape := func(name string, g Grudge) draft {
		params.Shape, params.Drop = name, g
		f := Fault{Kind: Partition, Params: params}
		return draft{fault: func([]string) Fault { return f }}
	}
	switch {
	case t.word == "halves":
		return shape(t.word, Groups(Bisect(nodes)))
	case t.word == "random-halves":
		return shape(t.word, Groups(Bisect(shuffled(r, nodes))))
	case t.word == "bridge":
		return shape(t.word, Bridge(shuffled(r, nodes)))
	case t.word == "majorities-ring":
		return shape(t.word, MajoritiesRing(r, shuffled(r, nodes)))
	case t.word == "all":
		return shape(t.word, Alone(nodes))
	case len(t.groups) > 0:
		return shape("groups", Groups(t.groups...))
	case len(d.pool) == 0:
		return draft{}
	}
	isolate := Isolate
	params.Shape = t.word
	switch {
	case t.word == "":
		params.Shape = "names"
	case t.word == "one-way" && r.IntN(2) == 0:
		isolate = Deaf
	case t.word == "one-way":
		isolate = Mute
	}
	d.fault = func(victims []string) Fault {
		f := Fault{Kind: Partition, Targets: victims, Params: params}
		f.Params.Drop = isolate(nodes, victims)
		return f
	}
	return d
}
