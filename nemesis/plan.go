package nemesis

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/histories"
)

// Plan is what a run suffers: a schedule of faults, drawn from the run's seed.
//
// Each kind has a process of its own, so that a slow fault of one does not
// delay another's cure, and at most one fault in force at a time. A fault lasts
// for up to four times Interval, half of them for Interval or more, and the calm
// until the next of its kind for up to one and a half times.
type Plan struct {
	Kinds    []Kind
	Interval time.Duration
	// Containers has no fault be shorter than what it takes to see it there.
	Containers bool
	Targets    Targets
	Budget     Budget
	// Nodes are the cluster's nodes.
	Nodes []string
	// Start is when the schedule begins. (When it is first asked would not do:
	// a generator that others are preferred to is asked for its first operation
	// again and again.)
	Start histories.Time
	// TimeLimit, counted from Start, ends the schedule: it injects nothing
	// more, cures at once what is in force, and has run out when all that is
	// over. 0: it goes on for ever, and leaves it to others to heal the
	// cluster.
	TimeLimit time.Duration
	// MinOps is how many client operations are to succeed under each kind of
	// faults. Once half of TimeLimit is over, a kind under which fewer did, and
	// whose victims are not given, strikes mildly: long, and one node that does
	// not lead. 0: there is no such number. The generator has to learn of the
	// clients' events.
	MinOps int
}

// Processes lists the processes that the plan's operations have.
func (p Plan) Processes() []histories.Process {
	var ps []histories.Process
	for _, k := range p.sorted() {
		ps = append(ps, k.Process())
	}
	return ps
}

// sorted is p.Kinds in the order of Kinds, each once.
func (p Plan) sorted() []Kind {
	return slices.DeleteFunc(slices.Clone(Kinds), func(k Kind) bool { return !slices.Contains(p.Kinds, k) })
}

// Validate tells all that is wrong with p: unknown kinds, a target expression
// that no kind heeds, one that never fits the budget.
func (p Plan) Validate() error {
	var errs []error
	for _, k := range p.Kinds {
		if _, err := ParseKind(string(k)); err != nil {
			errs = append(errs, err)
		}
	}
	if len(p.Kinds) > 0 && p.Interval <= 0 {
		errs = append(errs, fmt.Errorf("nemesis interval %s: want more than 0", p.Interval))
	}
	if p.TimeLimit < 0 {
		errs = append(errs, fmt.Errorf("nemesis time limit %s: want 0 or more", p.TimeLimit))
	}
	if len(p.Kinds) > 0 && len(p.Nodes) == 0 {
		errs = append(errs, errors.New("nemesis: there are no nodes to harm"))
		return errors.Join(errs...)
	}
	if len(p.Kinds) > 0 {
		for _, t := range p.Targets.unused(p.Kinds) {
			errs = append(errs, fmt.Errorf("targets %q: an expression for %s is of no use to nemesis %s", p.Targets, t.who(), join(p.Kinds)))
		}
	}
	for _, k := range p.sorted() {
		errs = append(errs, p.possible(k))
	}
	return errors.Join(errs...)
}

// possible tells why k could never be injected, even with nothing else in
// force.
func (p Plan) possible(k Kind) error {
	budget := p.Budget.Of(len(p.Nodes))
	if len(p.terms(k, budget)) > 0 {
		return nil
	}
	if len(p.terms(k, len(p.Nodes))) > 0 {
		return fmt.Errorf("nemesis %s with targets %q would leave more of the %d nodes unable to answer than the budget (%s: %d): give a larger --budget, or other targets",
			k, p.Targets, len(p.Nodes), p.Budget, budget)
	}
	return fmt.Errorf("nemesis %s with targets %q harms nobody in a cluster of %d nodes", k, p.Targets, len(p.Nodes))
}

// terms are those that a fault of kind k may be chosen by, if no other is in
// force and the first node leads.
func (p Plan) terms(k Kind, budget int) []term {
	calm := scene{nodes: p.Nodes, primaries: p.Nodes[:1], budget: budget}
	r := rand.New(rand.NewPCG(0, 0))
	return slices.DeleteFunc(p.Targets.of(k), func(t term) bool {
		_, out := choose(r, k, []term{t}, calm)
		return out != chosen
	})
}

// Generator is p as a generator; nil if p has no kinds. It panics if p is not
// valid.
//
// It keeps to the budget by what it has injected and not yet seen cured. A
// fault that would exceed it hits fewer nodes, or is put off until others are
// over; whoever has waited longest is next. Halting faults (kill, stop, power,
// pause, membership) do not hit a node that another one holds already, but for
// sequels, which hit it while it comes back.
//
// A cure that is not confirmed is tried again, and given up only after the time
// limit and five tries.
func (p Plan) Generator() gen.Generator {
	if err := p.Validate(); err != nil {
		panic(err)
	}
	if len(p.Kinds) == 0 {
		return nil
	}
	rules := &rules{interval: p.Interval, start: p.Start, limit: p.TimeLimit, nodes: slices.Clone(p.Nodes), budget: p.Budget.Of(len(p.Nodes)), containers: p.Containers, minOps: p.MinOps}
	s := &schedule{rules: rules}
	for _, k := range p.sorted() {
		rules.terms = append(rules.terms, p.terms(k, rules.budget))
		s.lines = append(s.lines, line{kind: k, process: k.Process()})
	}
	return s
}

// ParseKinds reads a list of kinds, "partition,kill", in the order of Kinds.
// "all" is every one of possible, "none" and "" are none. Kinds that are not
// possible are an error that tells which are.
func ParseKinds(s string, possible []Kind) ([]Kind, error) {
	switch strings.TrimSpace(s) {
	case "", "none":
		return nil, nil
	case "all":
		return Plan{Kinds: possible}.sorted(), nil
	}
	var errs []error
	var named []Kind
	for _, word := range strings.Split(s, ",") {
		word = strings.TrimSpace(word)
		k, err := ParseKind(word)
		switch {
		case word == "all" || word == "none":
			errs = append(errs, fmt.Errorf("nemesis %q: %q stands alone", s, word))
		case err != nil || !slices.Contains(possible, k):
			errs = append(errs, fmt.Errorf("nemesis %q: no %q here; possible are all, none and %s", s, word, join(possible)))
		default:
			named = append(named, k)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return Plan{Kinds: named}.sorted(), nil
}

func join(kinds []Kind) string {
	words := make([]string, len(kinds))
	for i, k := range kinds {
		words[i] = string(k)
	}
	return strings.Join(words, ", ")
}
