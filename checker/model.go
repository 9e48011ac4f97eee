package checker

import (
	"encoding/json"
	"math"

	"github.com/torture-harness/torture/histories"
)

// Model is a sequential specification: what one object may answer if calls
// come one after another. S is its state; C is a call with its values decoded,
// once, before the search begins.
type Model[S comparable, C any] struct {
	Name string
	Init S

	// Decode reads a call. An error makes the verdict Unknown.
	Decode func(histories.Call) (C, error)

	// Step returns the state after c, or false if c cannot happen in s with
	// the result it had. A call that ended Info had no result: any will do.
	Step func(s S, c C) (S, bool)

	// Part names the independent object that a call is about. nil: the key of
	// its invocation does.
	Part func(histories.Op) string

	// Reads tells whether c can never change the state. nil: none is known
	// not to. Such calls need not be searched for a place, and are dropped if
	// their outcome is unknown.
	Reads func(c C) bool

	// Observes tells whether a failed call is an observation all the same, as
	// a compare-and-set that did not match is. nil: none is.
	Observes func(histories.Call) bool

	// Describe renders a call for people: "write 3", "read → 3".
	Describe func(c C) string

	// DescribeState renders a state for people.
	DescribeState func(s S) string

	// at is the model with another initial value, as people give it.
	at func(init json.RawMessage) (Model[S, C], error)

	// guess is an initial value, as at takes it, with which the calls of a part
	// that is not linearizable may be. nil: there is none.
	guess func(part []span[C]) json.RawMessage

	// useless tells which calls of unknown outcome can be dropped, since
	// nobody could observe them.
	useless func(part []span[C]) []bool

	// shape decides a part of a shape for which a polynomial algorithm is
	// known. fits is false if the part has none.
	shape func(part []span[C]) (w *witness, fits bool)
}

// never is the end of a call of unknown outcome.
const never = math.MaxInt

// span is a call and when it was open. Indices of ops are its instants, so no
// two ends coincide.
type span[C any] struct {
	call    C
	begin   int // index of the invocation
	end     int // index of the completion, or never
	process histories.Process
	stale   bool // it is a read, of before the final phase, that could be stale
}

func (s span[C]) open() bool { return s.end == never }

// op is the index by which people are told of the call.
func (s span[C]) op() int {
	if s.open() {
		return s.begin
	}
	return s.end
}

// witness is why a part is not linearizable: spans, by their position in the
// part, and a sentence about them.
type witness struct {
	spans []int
	why   string
	stale bool // if reads may be stale, nothing is wrong
}

// kind is the narrowest that explains w.
func (w *witness) kind() string {
	if w.stale {
		return "stale-read"
	}
	return "nonlinearizable"
}

// split decodes the calls of h that say something and groups them by object,
// in the order of their invocations.
func (m Model[S, C]) split(h histories.History) (keys []string, parts [][]span[C], err error) {
	byKey := map[string]int{}
	byID := make([]int, len(h.Keys())+1) // 1 + the part of a key, by KeyID + 1
	eachCall(h, func(begin, end int, outcome histories.Type) {
		if err != nil {
			return
		}
		c := histories.Call{Invoke: h.At(begin)}
		s := span[C]{begin: begin, end: never, process: c.Invoke.Process}
		if end == never {
			c.Complete = c.Invoke
			c.Complete.Value = nil
		} else {
			c.Complete = h.At(end)
		}
		c.Complete.Type = outcome
		switch {
		case outcome == histories.Fail && (m.Observes == nil || !m.Observes(c)):
			return
		case outcome != histories.Info:
			s.end = end
		}
		if s.call, err = m.Decode(c); err != nil || s.open() && m.Reads != nil && m.Reads(s.call) {
			return
		}
		s.stale = outcome == histories.OK && !h.Final(begin) && m.Reads != nil && m.Reads(s.call)
		k := byID[h.KeyID(begin)+1] - 1
		key := string(c.Invoke.Key)
		if m.Part != nil {
			key = m.Part(c.Invoke)
			k = byKey[key] - 1
		}
		if k < 0 {
			k = len(parts)
			keys, parts = append(keys, key), append(parts, nil)
			byID[h.KeyID(begin)+1], byKey[key] = k+1, k+1
		}
		parts[k] = append(parts[k], s)
	})
	if err != nil {
		return nil, nil, err
	}
	return keys, parts, nil
}
