package docker

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/torture-harness/torture/docker/agent"
	"github.com/torture-harness/torture/nemesis"
)

// carry is what a probe sees of a link that is as y says, on a machine that has
// all the time.
func carry(r *rand.Rand, y way, p agent.Probe) agent.Link {
	type arrival struct {
		seq int
		at  time.Duration
	}
	var all []arrival
	free := time.Duration(0)
	for seq := range p.Count {
		copies := 1
		if r.Float64() < y.duplicate {
			copies = 2
		}
		for range copies {
			at := time.Duration(seq)*p.Every + 50*time.Microsecond
			if y.rate > 0 {
				free = max(free, at) + time.Duration(float64(p.Size)/float64(y.rate)*1e9)
				at = free
			}
			if r.Float64() < y.loss {
				continue
			}
			for _, h := range y.holds {
				if r.Float64() >= h.Probability {
					continue
				}
				at += h.Delay
				if h.Jitter > 0 {
					at += time.Duration(r.Int64N(2*int64(h.Jitter)+1)) - h.Jitter
				}
			}
			all = append(all, arrival{seq, at})
		}
	}
	slices.SortStableFunc(all, func(a, b arrival) int { return int(a.at - b.at) })
	l := agent.Link{Sent: p.Count}
	delays := make([]time.Duration, p.Count)
	highest := -1
	for _, a := range all {
		if l.Span = a.at; delays[a.seq] > 0 {
			l.Duplicates++
			continue
		}
		delays[a.seq] = a.at - time.Duration(a.seq)*p.Every
		l.Got++
		if a.seq < highest {
			l.Overtaken++
		}
		highest = max(highest, a.seq)
	}
	l.Delays = slices.DeleteFunc(delays, func(d time.Duration) bool { return d == 0 })
	l.Back = make([]time.Duration, l.Got)
	for i := range l.Back {
		l.Back[i] = 50 * time.Microsecond
	}
	l.Bytes = l.Got * p.Size
	return l
}

// Faults of all kinds and sizes are told from their absence whatever other
// kinds there are beside them, or else named as hidden.
func TestGauges(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	around := func(low, high float64) float64 { return low * math.Exp(r.Float64()*math.Log(high/low)) }
	span := func(low, high time.Duration) nemesis.Duration {
		return nemesis.Duration(around(float64(low), float64(high)))
	}
	draw := func(k nemesis.Kind) nemesis.Fault { // as nemesis does
		f := fault(string(k), k, nemesis.Params{}, "n2")
		switch p := &f.Params; k {
		case nemesis.Loss:
			p.Probability = around(0.01, 0.6)
		case nemesis.Duplicate:
			p.Probability = around(0.01, 0.5)
		case nemesis.Reorder:
			p.Probability, p.Delay = around(0.01, 0.5), span(time.Millisecond, 100*time.Millisecond)
		case nemesis.Delay:
			p.Delay = span(time.Millisecond, 300*time.Millisecond)
			p.Jitter = nemesis.Duration(r.Float64() * float64(p.Delay))
		case nemesis.Bandwidth:
			p.Rate, f.Targets = int64(around(1e3, 1e6)), []string{"n1"}
		}
		return f
	}
	kinds := []nemesis.Kind{nemesis.Loss, nemesis.Duplicate, nemesis.Reorder, nemesis.Delay, nemesis.Bandwidth}
	unseen, invented, uncured, measured := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	for range 8000 {
		f := draw(kinds[r.IntN(len(kinds))])
		var others leases
		name := string(f.Kind) + " under"
		for _, k := range kinds {
			if k != f.Kind && r.IntN(3) == 0 {
				others = append(others, draw(k))
				name += " " + string(k)
			}
		}
		if len(others.inTheWay(f, "n1", "n2", true)) > 0 {
			continue
		}
		measured[name]++
		g := gaugeOf(f, others, "n1", "n2")
		look := func(y way, inForce bool) (found bool) {
			for range attempts {
				if _, seen := g.judge(carry(r, y, g.probe("n2")), inForce); seen == inForce {
					return inForce
				}
			}
			return !inForce
		}
		if !look(g.with, true) {
			unseen[name]++
		}
		if look(g.other, true) {
			invented[name]++
		}
		if look(g.other, false) {
			uncured[name]++
		}
	}
	for name, n := range measured {
		for what, count := range map[string]int{"unseen": unseen[name], "seen without being there": invented[name], "not seen to be over": uncured[name]} {
			if count*100 > max(n, 100) {
				t.Errorf("%s: of %d faults %d are %s", name, n, count, what)
			}
		}
	}
}
