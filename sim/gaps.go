package sim

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/node"
)

// A gap is where a crash may come: between two effects of a step that a handler
// has asked for, before the first or after the last. Gaps of one class have the
// handler, and the kinds of the effects before and after, in common.
type gap struct {
	handler       int32
	after, before uint8
}

// Effects are numbered as node.EffectKind; begin and end of a step stand for
// those that are not there.
const (
	begin uint8 = 0
	end   uint8 = uint8(node.Role) + 1
	edges       = int(end) + 1
)

// words names what is numbered so.
var words = append(append([]string{nemesis.Begin}, nemesis.Effects...), nemesis.End)

// sharp tells whether the gap is beside a write, a sync or a message: where what
// is durable, and what others know, are apart.
func (g gap) sharp() bool {
	is := func(e uint8) bool {
		return e == uint8(node.Write) || e == uint8(node.Sync) || e == uint8(node.Send)
	}
	return is(g.after) || is(g.before)
}

// weight is how likely the gap is chosen, against others.
func (g gap) weight() float64 {
	if g.sharp() {
		return 8
	}
	return 1
}

// gaps counts the classes of gaps of a run.
type gaps struct {
	naming   sync.Mutex // of names, where Handling reads what others write
	names    []string   // of handlers
	handlers map[handler]int32
	classes  []classes // by handler
}

// handler is the name of a step: what kind of event it handles, and which.
type handler struct {
	kind uint8
	name string
}

type classes [edges][edges]struct{ passed, crashed int }

// starts is the kind of the step in which a node starts.
const starts = act

// handler is the number of the steps that handle such an event. Names that
// differ in numbers alone are one.
func (g *gaps) handler(kind uint8, name string) int32 {
	h := handler{kind, name}
	i, ok := g.handlers[h]
	if ok {
		return i
	}
	word := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return '#'
		}
		return r
	}, name)
	for strings.Contains(word, "##") {
		word = strings.ReplaceAll(word, "##", "#")
	}
	full := strings.TrimSpace(map[uint8]string{starts: "start", request: "request", arrive: "receive", ring: "timer"}[kind] + " " + word)
	k := slices.Index(g.names, full)
	if k < 0 {
		k = len(g.names)
		g.naming.Lock()
		g.names, g.classes = append(g.names, full), append(g.classes, classes{})
		g.naming.Unlock()
	}
	g.handlers[h] = int32(k)
	return int32(k)
}

// between is the i-th gap of a step with these effects, from 0.
func between(h int32, effects []node.Effect, i int) gap {
	g := gap{h, begin, end}
	if i > 0 {
		g.after = uint8(effects[i-1].Kind)
	}
	if i < len(effects) {
		g.before = uint8(effects[i].Kind)
	}
	return g
}

func (g *gaps) class(of gap) *struct{ passed, crashed int } {
	return &g.classes[of.handler][of.after][of.before]
}

// place is gap g in the words of a fault.
func (g *gaps) place(of gap) nemesis.Place {
	return nemesis.Place{Handler: g.names[of.handler], After: words[of.after], Before: words[of.before]}
}

// is tells whether p names the class of a gap.
func (g *gaps) is(of gap, p nemesis.Place) bool {
	return g.names[of.handler] == p.Handler && words[of.after] == p.After && words[of.before] == p.Before
}

// choose draws a class for a crash. Those that are sharp are the likelier, and
// those in which there were crashes already the less; of those that come less
// often than often, each time that one came counts. d is drawn from once. ok is
// false if there is none.
func (g *gaps) choose(d *dice, often float64) (chosen gap, ok bool) {
	luck := d.float()
	for _, draw := range []bool{false, true} {
		sum := 0.0
		for h := range g.classes {
			for after := range edges {
				for before := range edges {
					c := g.classes[h][after][before]
					if c.passed == 0 {
						continue
					}
					one := gap{int32(h), uint8(after), uint8(before)}
					sum += one.weight() * min(float64(c.passed)/often, 1) / float64(1+4*c.crashed)
					if draw && sum >= luck {
						return one, true
					}
				}
			}
		}
		luck *= sum
	}
	return gap{}, false
}

// Gap is a class of gaps, and how often crashes came there.
type Gap struct {
	nemesis.Place
	Sharp   bool `json:"sharp,omitempty"`   // beside a write, a sync or a message
	Passed  int  `json:"passed"`            // times that a node came by
	Crashed int  `json:"crashed,omitempty"` // of these, it died
}

// Gaps are the classes of gaps that nodes have come by.
func (w *World) Gaps() (all []Gap) {
	for h := range w.gaps.classes {
		for after := range edges {
			for before := range edges {
				if c := w.gaps.classes[h][after][before]; c.passed > 0 {
					g := gap{int32(h), uint8(after), uint8(before)}
					all = append(all, Gap{w.gaps.place(g), g.sharp(), c.passed, c.crashed})
				}
			}
		}
	}
	return all
}

// AddGaps adds the classes of one run to those of others, sorted.
func AddGaps(sum, run []Gap) []Gap {
	at := map[nemesis.Place]Gap{}
	for _, g := range slices.Concat(sum, run) {
		had := at[g.Place]
		g.Passed, g.Crashed = g.Passed+had.Passed, g.Crashed+had.Crashed
		at[g.Place] = g
	}
	return slices.SortedFunc(maps.Values(at), func(a, b Gap) int {
		return cmp.Or(cmp.Compare(a.Handler, b.Handler), cmp.Compare(a.After, b.After), cmp.Compare(a.Before, b.Before))
	})
}
