package checker

import (
	"fmt"
	"slices"
	"strings"

	"github.com/torture-harness/torture/histories"
)

// logState is what the log amounts to after each of its entries, by what their
// records say that they do.
type logState struct {
	keys    map[string]*keyState
	entries table[logEntry] // by idx
	last    uint64          // the highest idx recorded
	whole   uint64          // all up to here are, with what they do
	reused  bool            // a place had another entry later
}

// logEntry is what an entry does; nothing if by is 0.
type logEntry struct {
	by   int // 1 + record
	op   int32
	does []effect
}

// effect sets a register or lengthens a list. Key and value are JSON texts.
type effect struct {
	lengthens  bool
	key, value string
}

func (e effect) String() string {
	if e.lengthens {
		return "append " + e.value + object2(" to ", e.key)
	}
	return "write " + e.value + object2(" to ", e.key)
}

// object2 names a key after a word; the object without a key needs none.
func object2(word, key string) string {
	if key == "null" {
		return ""
	}
	return word + keyName(key)
}

// keyState is the history of one key in the log: its values as a register, and
// its elements as a list, each with the idx that put it there.
type keyState struct {
	values, elements []placedValue
}

type placedValue struct {
	idx   uint64
	value string
}

// upTo is how many of all are there after entry idx.
func upTo(all []placedValue, idx uint64) int {
	n, _ := slices.BinarySearchFunc(all, idx+1, func(v placedValue, idx uint64) int {
		if v.idx < idx {
			return -1
		}
		return 1
	})
	return n
}

// key is the state of a key, empty if the log does not know it.
func (s *logState) key(key string) *keyState {
	if k := s.keys[key]; k != nil {
		return k
	}
	return &keyState{}
}

// register is the key's value after entry idx, as a register.
func (k *keyState) register(idx uint64) string {
	n := upTo(k.values, idx)
	if n == 0 {
		return "null"
	}
	return k.values[n-1].value
}

// version is the last entry up to idx that wrote the key.
func (k *keyState) version(idx uint64) (last uint64) {
	for _, all := range [][]placedValue{k.values, k.elements} {
		if n := upTo(all, idx); n > 0 {
			last = max(last, all[n-1].idx)
		}
	}
	return last
}

// list is the key's text after entry idx, as a list that own lengthens.
func (k *keyState) list(idx uint64, own []string) string {
	var b strings.Builder
	b.WriteByte('[')
	put := func(i int, v string) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(v)
	}
	n := upTo(k.elements, idx)
	for i := range n {
		put(i, k.elements[i].value)
	}
	for i, v := range own {
		put(n+i, v)
	}
	b.WriteByte(']')
	return b.String()
}

// shows tells whether value is what the key holds after entry idx. What a key
// was never given is null or, as a list, empty.
func (k *keyState) shows(value []byte, idx uint64) bool {
	n := upTo(k.elements, idx)
	if n == 0 && (len(k.values) > 0 || text(value) == "null") {
		return text(value) == k.register(idx)
	}
	return k.lists(value, idx, nil)
}

// lists tells whether value is the list after entry idx and own behind it.
func (k *keyState) lists(value []byte, idx uint64, own []string) bool {
	n, i, same := upTo(k.elements, idx), 0, true
	array := elements(value, func(e []byte) {
		switch {
		case i < n:
			same = same && text(e) == k.elements[i].value
		case i < n+len(own):
			same = same && text(e) == own[i-n]
		}
		i++
	})
	return same && (array && i == n+len(own) || null(value) && n+len(own) == 0)
}

// takes notes the entry that a primary puts into its log, if its record says
// what it does.
func (s *logState) take(i int, idx uint64, op int32, raw []byte) (ok bool) {
	if null(raw) {
		return true
	}
	if had := s.entries.get(idx); had.by > 0 {
		s.reused = s.reused || had.op != op
		return true
	}
	e := logEntry{by: i + 1, op: op}
	ok = elements(raw, func(m []byte) {
		part, n := parts(m)
		if n == 3 && (string(part[0]) == `"w"` || string(part[0]) == `"append"`) {
			e.does = append(e.does, effect{string(part[0]) == `"append"`, text(part[1]), text(part[2])})
		} else {
			e.does = append(e.does, effect{})
		}
	})
	if !ok || slices.Contains(e.does, effect{}) {
		return false
	}
	s.entries.put(idx, e)
	s.last = max(s.last, idx)
	return true
}

// replay carries out the entries, in order, up to the first that is not on
// record: what follows rests on what is not known.
func (s *logState) replay() {
	s.keys = map[string]*keyState{}
	for ; s.entries.get(s.whole+1).by > 0; s.whole++ {
		idx := s.whole + 1
		e := s.entries.get(idx)
		for _, d := range e.does {
			k := s.keys[d.key]
			if k == nil {
				k = &keyState{}
				s.keys[d.key] = k
			}
			if d.lengthens {
				k.elements = append(k.elements, placedValue{idx, d.value})
			} else {
				k.values = append(k.values, placedValue{idx, d.value})
			}
		}
	}
}

// parts are the first three elements of the array raw, and how many it has.
func parts(raw []byte) (part [3][]byte, n int) {
	elements(raw, func(e []byte) {
		if n < 3 {
			part[n] = e
		}
		n++
	})
	return part, n
}

// asked is what a client's operation asks the log to do, if it succeeds.
func asked(f string, key, value []byte) (does []effect) {
	switch f {
	case "write":
		return []effect{{false, text(key), text(value)}}
	case "cas":
		part, _ := parts(value)
		return []effect{{false, text(key), text(part[1])}}
	case "add":
		return []effect{{true, text(key), text(value)}}
	case "txn":
		elements(value, func(m []byte) {
			if part, _ := parts(m); string(part[0]) == `"append"` {
				does = append(does, effect{true, text(part[1]), text(part[2])})
			}
		})
	}
	return does
}

// values judges answers by the log that they claim to come from: what a read
// returned, and what became of an update, against the state after replaying the
// log up to there; and the log by what clients asked for.
func (p *replication) values() {
	if p.state.last == 0 {
		p.skipped("values: no record says what the log's entries do")
		return
	}
	if p.primaries > 1 {
		p.skipped("values: more than one node was the primary, so that there is more than one log")
		return
	}
	if p.state.reused {
		p.skipped("values: the primary put another entry where it had one, so that there is more than one log")
		return
	}
	p.state.replay()
	p.looked("every answer against the log up to the place that it names")
	if p.state.whole < p.state.last {
		p.skipped(fmt.Sprintf("values after entry %d: no primary recorded the next", p.state.whole))
	}
	wanted := map[effect]*demand{}
	eachCall(p.h, func(begin, end int, outcome histories.Type) {
		f := p.h.F(begin)
		for _, d := range asked(f, p.h.Key(begin), p.h.Value(begin)) {
			w := wanted[d]
			if w == nil {
				w = &demand{}
				wanted[d] = w
			}
			if w.asked++; outcome == histories.Fail {
				w.asked--
				w.refused = append(w.refused, end)
			}
		}
		switch {
		case outcome == histories.OK && f == "read":
			p.valueRead(end)
		case outcome == histories.OK:
			p.updated(f, begin, end)
		case outcome == histories.Fail && f == "cas" && p.h.Error(end) == "mismatch":
			p.mismatched(begin, end)
		}
	})
	p.phantoms(wanted)
}

// demand is how often clients asked for an effect.
type demand struct {
	asked, done int
	refused     []int // the completions that said that it never happens
}

// phantoms: the log does what clients asked for, as often as they did, and
// nothing that was refused.
func (p *replication) phantoms(wanted map[effect]*demand) {
	for idx := uint64(1); idx <= p.state.whole; idx++ {
		e := p.state.entries.get(idx)
		for _, d := range e.does {
			w := wanted[d]
			if w != nil {
				if w.done++; w.done <= w.asked {
					continue
				}
			}
			switch {
			case w != nil && len(w.refused) > 0:
				p.addf("phantom-write", []int{e.by - 1, w.refused[0]}, "op %d: entry %d of the log is to %s, which op %d had said never to happen", e.by-1, idx, d, w.refused[0])
			case w != nil:
				p.addf("phantom-write", []int{e.by - 1}, "op %d: entry %d of the log is to %s, which clients asked for %d times, and which has been done so often before", e.by-1, idx, d, w.asked)
			default:
				p.addf("phantom-write", []int{e.by - 1}, "op %d: entry %d of the log is to %s, which no client asked for", e.by-1, idx, d)
			}
		}
	}
}

// place is where in the log the answer of call end was true, and by which field
// it says so.
func (p *replication) place(end int) (idx uint64, by string, ok bool) {
	for _, name := range []string{"at", "idx"} {
		if n, ok := integer(p.h.Ext(end, name)); ok && n >= 0 {
			return uint64(n), name, true
		}
	}
	return 0, "", false
}

func (p *replication) valueRead(end int) {
	at, by, ok := p.place(end)
	if !ok {
		return
	}
	p.judged++
	key, value := text(p.h.Key(end)), p.h.Value(end)
	k, e := p.state.key(key), p.state.entries.get(at)
	switch {
	case at > p.state.last || at > 0 && e.by-1 > end:
		p.addf("wrong-value", []int{end}, "op %d: %s read%s at %d of the log, which the primary had not come to", end, p.h.Node(end), object2(" ", key), at)
	case at > p.state.whole:
	case !k.shows(value, at):
		want := k.register(at)
		if upTo(k.elements, at) > 0 {
			want = k.list(at, nil)
		}
		ops := []int{end}
		if last := k.version(at); last > 0 {
			ops = append(ops, p.state.entries.get(last).by-1)
		}
		p.addf("wrong-value", ops, "op %d: %s read %.100s%s, but the log up to %d makes it %.100s", end, p.h.Node(end), text(value), object2(" in ", key), at, want)
	case by == "at":
		if idx, ok := integer(p.h.Ext(end, "idx")); ok && uint64(idx) != k.version(at) {
			p.addf("wrong-value", []int{end}, "op %d: %s says that entry %d wrote what it read%s, but in the log up to %d that is entry %d", end, p.h.Node(end), idx, object2(" in ", key), at, k.version(at))
		}
	}
}

// updated: the entry of an update that succeeded is in the log, does what was
// asked, and could.
func (p *replication) updated(f string, begin, end int) {
	idx, by, ok := p.place(end)
	if !ok || oneOf("", f, []string{"write", "cas", "add", "txn"}) != nil {
		return
	}
	p.judged++
	want := asked(f, p.h.Key(begin), p.h.Value(begin))
	before := idx // the state that the update saw
	if by == "idx" {
		e := p.state.entries.get(idx)
		before--
		switch {
		case idx == 0 || e.by == 0 || e.by-1 > end:
			p.addf("wrong-outcome", []int{end}, "op %d acknowledged entry %d, which the primary had not recorded", end, idx)
			return
		case !null(p.h.Ext(end, "op")) && p.ops.of(p.h.Ext(end, "op")) != e.op:
			p.addf("wrong-outcome", []int{end, e.by - 1}, "op %d acknowledged %s as entry %d, which is %s (op %d)", end, keyName(string(p.h.Ext(end, "op"))), idx, p.ops.name(e.op), e.by-1)
			return
		case !slices.Equal(want, e.does):
			p.addf("wrong-outcome", []int{end, e.by - 1}, "op %d acknowledged %s, but its entry %d (op %d) is to %s", end, told(want), idx, e.by-1, told(e.does))
			return
		}
	} else if len(want) > 0 || idx > p.state.last {
		p.addf("wrong-outcome", []int{end}, "op %d acknowledged %s with no entry of the log, at %d", end, told(want), idx)
		return
	}
	if before > p.state.whole {
		return
	}
	switch f {
	case "cas":
		part, _ := parts(p.h.Value(begin))
		key := text(p.h.Key(begin))
		if held := p.state.key(key).register(before); held != text(part[0]) {
			p.addf("wrong-outcome", []int{end}, "op %d swapped %s for %s%s, which held %s then, after entry %d", end, text(part[0]), text(part[1]), object2(" in ", key), held, before)
		}
	case "txn":
		own := map[string][]string{}
		elements(p.h.Value(end), func(m []byte) {
			part, _ := parts(m)
			key := text(part[1])
			if string(part[0]) == `"append"` {
				own[key] = append(own[key], text(part[2]))
			} else if k := p.state.key(key); !k.lists(part[2], before, own[key]) {
				p.addf("wrong-value", []int{end}, "op %d read %.100s%s, but the log up to %d and what it had appended make it %.100s", end, text(part[2]), object2(" in ", key), before, k.list(before, own[key]))
			}
		})
	}
}

// told is a list of effects in words.
func told(does []effect) string {
	if len(does) == 0 {
		return "nothing"
	}
	var all []string
	for _, d := range does {
		all = append(all, d.String())
	}
	return strings.Join(all, " and ")
}

// mismatched: at some moment between the ends of a cas that failed, the key
// held another value. The log had come to the last entry acknowledged before
// it began, and had not come further than to the last recorded when it ended.
func (p *replication) mismatched(begin, end int) {
	low, high := before(p.shown, begin), before(p.recorded, end)
	if low > high || high > p.state.whole {
		return
	}
	p.judged++
	part, _ := parts(p.h.Value(begin))
	key, old := text(p.h.Key(begin)), text(part[0])
	k := p.state.key(key)
	for n := upTo(k.values, low); n <= upTo(k.values, high); n++ {
		if n == 0 && old != "null" || n > 0 && k.values[n-1].value != old {
			return
		}
	}
	p.addf("wrong-outcome", []int{end}, "op %d failed because%s did not hold %s, which it did all the time, from entry %d to %d of the log", end, object2(" ", key), old, low, high)
}
