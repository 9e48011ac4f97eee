package checker

import (
	"context"
	"slices"
	"time"

	"github.com/torture-harness/torture/histories"
)

// StormOptions say how many messages nodes may send each other in any ten
// seconds: for each node, Operations for each operation that was under way, and
// Seconds for each second.
type StormOptions struct {
	Nodes      int     `json:"nodes"`
	Operations float64 `json:"operations"`
	Seconds    float64 `json:"seconds"`
}

const (
	stormWindow = int64(10 * time.Second)
	// stormLinger is how long an operation counts on whose client has given up.
	stormLinger = int64(10 * time.Second)
)

// Storm finds message storms: nodes that send more messages than the work they
// were given explains, since answers breed, or somebody asks without rest. It
// reads the nodes' records sent {"messages"}, how many since the one before, and
// message-storm of a world that was ended by one.
//
// Where ops have Lamport times, these are the clock: in containers they are
// close to the time of day, and what a node records has no other.
func Storm(o StormOptions) Checker {
	return Func(func(_ context.Context, h histories.History) Result {
		s := storm{findings: find("storm"), o: o, h: h}
		s.read()
		s.judge()
		return s.result("")
	})
}

type storm struct {
	*findings
	o            StormOptions
	h            histories.History
	parcels      []parcel
	begins, ends []int64 // of operations; sorted
}

// parcel is messages that a node has sent by a time.
type parcel struct {
	at       int64
	op       int
	node     string
	messages int64
}

func (s *storm) read() {
	for i := range s.h.Len() {
		p := s.h.Process(i)
		if p.Client() || p.Nemesis() {
			continue
		}
		switch s.h.F(i) {
		case "sent":
			if n, ok := integer(field(s.h.Value(i), "messages")); ok {
				s.parcels = append(s.parcels, parcel{s.at(i), i, p.String(), n})
			}
		case "message-storm":
			op := s.h.At(i)
			n, _ := integer(field(op.Value, "messages"))
			s.addf("message-storm", []int{i}, "op %d: nodes sent %d messages within a second, and the world ended the run; most were %s",
				i, n, keyName(string(field(op.Value, "most"))))
		}
	}
	eachCall(s.h, func(begin, end int, outcome histories.Type) {
		s.begins = append(s.begins, s.at(begin))
		switch {
		case end == never:
		case outcome == histories.Info:
			s.ends = append(s.ends, s.at(end)+stormLinger)
		default:
			s.ends = append(s.ends, s.at(end))
		}
	})
	slices.SortStableFunc(s.parcels, func(a, b parcel) int { return int(a.at - b.at) })
	slices.Sort(s.begins)
	slices.Sort(s.ends)
}

// at is the time of op i, ns.
func (s *storm) at(i int) int64 {
	if l := s.h.Lamport(i); l > 0 {
		return int64(l)
	}
	return int64(s.h.Time(i))
}

// judge looks at the window before each parcel. Of windows that follow each
// other and are all too full, the fullest is reported.
func (s *storm) judge() {
	if len(s.parcels) == 0 && !s.invalid {
		s.skipped("message storms: nodes recorded no messages")
		return
	}
	s.looked("that nodes send no more messages than there is work for")
	var worst window
	peak := 0.0
	first, sum := 0, int64(0)
	for i, p := range s.parcels {
		sum += p.messages
		for s.parcels[first].at <= p.at-stormWindow {
			sum -= s.parcels[first].messages
			first++
		}
		w := window{first, i, sum, s.underWay(p.at-stormWindow, p.at)}
		share := float64(w.messages) / s.most(w)
		peak = max(peak, share)
		switch {
		case share <= 1:
			s.report(worst)
			worst = window{}
		case worst.messages == 0 || share > float64(worst.messages)/s.most(worst):
			worst = w
		}
	}
	s.report(worst)
	s.stats["peak"] = float64(int(peak*1000)) / 1000
}

// window is a span of ten seconds.
type window struct {
	first, last int   // parcels
	messages    int64 // in it
	operations  int   // under way in it
}

// underWay counts the operations that were at any time in (from, to].
func (s *storm) underWay(from, to int64) int {
	begun, _ := slices.BinarySearch(s.begins, to+1)
	ended, _ := slices.BinarySearch(s.ends, from)
	return begun - ended
}

// most is how many messages a window may have. A parcel may be of messages from
// before it, one of each node.
func (s *storm) most(w window) float64 {
	nodes := float64(max(s.o.Nodes, 1))
	var early int64
	if w.first < len(s.parcels) {
		early = s.parcels[w.first].messages
	}
	return nodes * (s.o.Operations*float64(w.operations) + s.o.Seconds*time.Duration(stormWindow).Seconds() + float64(early))
}

func (s *storm) report(w window) {
	if w.messages == 0 {
		return
	}
	by := map[string]int64{}
	for _, p := range s.parcels[w.first : w.last+1] {
		by[p.node] += p.messages
	}
	loudest := ""
	for _, n := range sortedKeys(by) {
		if by[n] > by[loudest] {
			loudest = n
		}
	}
	first, last := s.parcels[w.first], s.parcels[w.last]
	s.addf("message-storm", []int{first.op, last.op}, "between op %d and op %d, in %v, nodes sent %d messages, with %d operations under way: want %.0f at most; %s sent %d",
		first.op, last.op, time.Duration(last.at-first.at).Round(time.Millisecond), w.messages, w.operations, s.most(w), loudest, by[loudest])
}
