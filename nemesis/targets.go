package nemesis

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Targets is a target expression: which nodes faults hit, or in which shape
// partitions cut. The zero Targets leaves it to each kind's own mix.
//
// An expression is one of
//
//	one              a random node
//	minority         1 to just under half of the nodes
//	minority-third   1 to just under a third of them
//	majority         just over half of them
//	all              every node
//	primaries        those last known to lead
//	others           those not known to lead; also written !primaries
//	n1,n3            these nodes
//
// For a partition the nodes meant are cut off together from the rest ("all":
// everybody from everybody), or the expression is a shape:
//
//	halves           the first half of the nodes from the second
//	random-halves    the same, in random order
//	majorities-ring  every node hears a majority, few the same
//	bridge           two halves, and a node that hears both
//	one-way          a minority does not hear the rest, or the rest not it
//	n1,n2|n3,n4,n5   these groups
//
// Several expressions are separated by semicolons. One that begins with a kind
// and "=" is for that kind alone, and goes before the others:
// "primaries; partition=halves". Otherwise an expression is for all kinds that
// understand it.
type Targets struct {
	text  string
	terms []term
}

// A term is one expression of Targets.
type term struct {
	kind   Kind // or ""
	word   string
	names  []string   // "n1,n3"
	groups [][]string // "n1|n2"
}

// nodeWords are the expressions that mean nodes, shapeWords those for
// partitions only.
var (
	nodeWords  = []string{"one", "minority", "minority-third", "majority", "all", "primaries", "others"}
	shapeWords = []string{"halves", "random-halves", "majorities-ring", "bridge", "one-way"}
)

// mildest is a term of the schedule's own: one node that is not known to lead.
var mildest = term{word: "bystander"}

// ParseTargets reads a target expression. nodes are the names it may use.
func ParseTargets(s string, nodes []string) (Targets, error) {
	t := Targets{text: s}
	if strings.TrimSpace(s) == "" {
		return Targets{}, nil
	}
	var errs []error
	for _, part := range strings.Split(s, ";") {
		one, err := parseTerm(part, nodes)
		if err != nil {
			errs = append(errs, fmt.Errorf("targets %q: %w", s, err))
			continue
		}
		if slices.ContainsFunc(t.terms, func(o term) bool { return o.kind == one.kind }) {
			errs = append(errs, fmt.Errorf("targets %q: two expressions for %s", s, one.who()))
		}
		t.terms = append(t.terms, one)
	}
	if len(errs) > 0 {
		return Targets{}, errors.Join(errs...)
	}
	return t, nil
}

func parseTerm(s string, nodes []string) (t term, err error) {
	if kind, rest, ok := strings.Cut(s, "="); ok {
		if t.kind, err = ParseKind(strings.TrimSpace(kind)); err != nil {
			return t, err
		}
		s = rest
	}
	s = strings.TrimSpace(s)
	switch {
	case s == "!primaries":
		t.word = "others"
	case slices.Contains(nodeWords, s), slices.Contains(shapeWords, s):
		t.word = s
	default:
		if err := t.parseNames(s, nodes); err != nil {
			return t, err
		}
	}
	if t.kind != "" && !t.suits(t.kind) {
		return t, fmt.Errorf("%q is a shape of partitions, and means nothing to %s", s, t.kind)
	}
	return t, nil
}

func (t *term) parseNames(s string, nodes []string) error {
	var seen []string
	for _, group := range strings.Split(s, "|") {
		var names []string
		for _, n := range strings.Split(group, ",") {
			n = strings.TrimSpace(n)
			switch {
			case !slices.Contains(nodes, n):
				return fmt.Errorf("%q is neither a node (%s) nor one of %s, %s",
					n, strings.Join(nodes, ", "), strings.Join(nodeWords, ", "), strings.Join(shapeWords, ", "))
			case slices.Contains(seen, n):
				return fmt.Errorf("node %s is named twice", n)
			}
			seen, names = append(seen, n), append(names, n)
		}
		t.groups = append(t.groups, names)
	}
	if len(t.groups) == 1 {
		t.names, t.groups = t.groups[0], nil
	}
	return nil
}

// suits tells whether faults of kind k understand t.
func (t term) suits(k Kind) bool {
	return k == Partition || len(t.groups) == 0 && !slices.Contains(shapeWords, t.word)
}

func (t term) who() string {
	if t.kind == "" {
		return "all kinds"
	}
	return string(t.kind)
}

// String is what ParseTargets reads.
func (t Targets) String() string { return t.text }

// of returns the terms that kind k draws from: the one that was asked for, or
// its own mix.
func (t Targets) of(k Kind) []term {
	for _, exact := range []Kind{k, ""} {
		for _, one := range t.terms {
			if one.kind == exact && one.suits(k) {
				return []term{one}
			}
		}
	}
	words := []string{"one", "minority", "majority", "all", "primaries"}
	switch k {
	case Partition:
		words = append([]string{"one", "minority", "primaries"}, shapeWords...)
	case Membership, Client:
		words = []string{"one", "minority", "primaries"}
	}
	mix := make([]term, len(words))
	for i, w := range words {
		mix[i].word = w
	}
	return mix
}

// unused lists the terms that none of the kinds heeds.
func (t Targets) unused(kinds []Kind) []term {
	return slices.DeleteFunc(slices.Clone(t.terms), func(one term) bool {
		return slices.ContainsFunc(kinds, func(k Kind) bool {
			return (one.kind == k || one.kind == "") && one.suits(k)
		})
	})
}
