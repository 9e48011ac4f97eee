package nemesis

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseKinds(t *testing.T) {
	possible := []Kind{Pause, Kill, Partition}
	for _, c := range []struct{ in, want, err string }{
		{"all", "kill, partition, pause", ""},
		{"none", "", ""},
		{"", "", ""},
		{" partition , kill,kill", "kill, partition", ""},
		{"partition,flood", "", `nemesis "partition,flood": no "flood" here; possible are all, none and pause, kill, partition`},
		{"clock", "", `no "clock" here`},
		{"kill,all", "", `"all" stands alone`},
		{"kill,", "", `no "" here`},
	} {
		got, err := ParseKinds(c.in, possible)
		if join(got) != c.want || !says(err, c.err) {
			t.Errorf("%q: got %v, %v; want %q, %q", c.in, got, err, c.want, c.err)
		}
	}
}

// says tells whether err contains part; nil contains "" only.
func says(err error, part string) bool {
	if err == nil || part == "" {
		return err == nil && part == ""
	}
	return strings.Contains(err.Error(), part)
}

func TestParseBudget(t *testing.T) {
	for _, c := range []struct {
		in, text, err string
		of            [6]int // 0 to 5 nodes
	}{
		{"", "minority", "", [6]int{0, 0, 0, 1, 1, 2}},
		{"minority", "minority", "", [6]int{0, 0, 0, 1, 1, 2}},
		{"all", "all", "", [6]int{0, 1, 2, 3, 4, 5}},
		{"3", "3", "", [6]int{0, 1, 2, 3, 3, 3}},
		{"0", "0", "", [6]int{}},
		{"-1", "minority", `budget "-1": want`, [6]int{0, 0, 0, 1, 1, 2}},
		{"some", "minority", `budget "some": want`, [6]int{0, 0, 0, 1, 1, 2}},
	} {
		b, err := ParseBudget(c.in)
		if !says(err, c.err) || b.String() != c.text {
			t.Errorf("%q: got %s, %v", c.in, b, err)
		}
		for n, want := range c.of {
			if got := b.Of(n); got != want {
				t.Errorf("%q of %d nodes: got %d, want %d", c.in, n, got, want)
			}
		}
	}
}

func TestParseTargets(t *testing.T) {
	nodes := names(5)
	for _, c := range []struct{ in, err string }{
		{"", ""}, {"one", ""}, {"minority-third", ""}, {"!primaries", ""}, {"others", ""}, {"n1,n3", ""}, {" n1 , n3 ", ""},
		{"halves", ""}, {"n1,n2|n3,n4,n5", ""}, {"partition=n1|n2; primaries", ""}, {"kill=one;pause=all", ""},
		{"some", `"some" is neither a node (n1, n2, n3, n4, n5) nor one of one, minority`},
		{"n1,n6", `"n6" is neither a node`},
		{"n1,n1", "node n1 is named twice"},
		{"n1|n2,n1", "node n1 is named twice"},
		{"n1|", `"" is neither`},
		{"flood=one", `fault "flood" is unknown`},
		{"kill=halves", `"halves" is a shape of partitions, and means nothing to kill`},
		{"one;all", "two expressions for all kinds"},
		{"one;", `"" is neither`},
	} {
		got, err := ParseTargets(c.in, nodes)
		if !says(err, c.err) {
			t.Errorf("%q: error %v, want %q", c.in, err, c.err)
		}
		if err == nil && got.String() != c.in {
			t.Errorf("%q: String is %q", c.in, got)
		}
	}
}

func TestValidatePlan(t *testing.T) {
	nodes := names(5)
	good := Plan{Kinds: []Kind{Kill, Partition}, Interval: time.Second, Nodes: nodes}
	for _, c := range []struct {
		name string
		plan func(*Plan)
		err  string
	}{
		{"good", func(*Plan) {}, ""},
		{"unknown kind", func(p *Plan) { p.Kinds = append(p.Kinds, "flood") }, `fault "flood" is unknown`},
		{"no interval", func(p *Plan) { p.Interval = 0 }, "interval 0s"},
		{"negative limit", func(p *Plan) { p.TimeLimit = -1 }, "time limit -1ns"},
		{"no nodes", func(p *Plan) { p.Nodes = nil }, "no nodes"},
		{"nothing at all", func(p *Plan) { *p = Plan{} }, ""},
		{"shape without partitions", func(p *Plan) { p.Kinds, p.Targets = []Kind{Kill}, must(ParseTargets("halves", nodes)) }, "of no use to nemesis kill"},
		{"shape with others", func(p *Plan) { p.Targets = must(ParseTargets("halves", nodes)) }, ""},
		{"other kind", func(p *Plan) { p.Targets = must(ParseTargets("clock=one", nodes)) }, "an expression for clock is of no use"},
		{"over budget", func(p *Plan) { p.Targets = must(ParseTargets("majority", nodes)) },
			`nemesis kill with targets "majority" would leave more of the 5 nodes unable to answer than the budget (minority: 2): give a larger --budget`},
		{"within budget", func(p *Plan) {
			p.Targets, p.Budget = must(ParseTargets("majority", nodes)), must(ParseBudget("all"))
		}, ""},
		{"named, over budget", func(p *Plan) { p.Targets = must(ParseTargets("n1,n2,n3", nodes)) }, "nemesis kill with targets"},
		{"halves of four", func(p *Plan) { p.Nodes, p.Targets = names(4), must(ParseTargets("halves", names(4))) }, "nemesis partition with targets"},
		{"alone", func(p *Plan) { p.Kinds, p.Nodes = []Kind{Partition}, names(1) }, `nemesis partition with targets "" harms nobody in a cluster of 1 nodes`},
		{"two nodes", func(p *Plan) { p.Nodes = names(2) }, "(minority: 0)"},
		{"everybody from nobody", func(p *Plan) { p.Kinds, p.Targets = []Kind{Partition}, must(ParseTargets("n1,n2,n3,n4,n5", nodes)) }, "harms nobody"},
	} {
		p := good
		p.Kinds = slices.Clone(good.Kinds)
		c.plan(&p)
		if err := p.Validate(); !says(err, c.err) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.err)
		}
	}
}

func FuzzParseTargets(f *testing.F) {
	f.Add("partition=n1|n2; primaries")
	f.Add("n1,n3")
	f.Add("=;|,")
	f.Fuzz(func(t *testing.T, s string) {
		nodes := names(3)
		got, err := ParseTargets(s, nodes)
		if err != nil {
			return
		}
		again, err := ParseTargets(got.String(), nodes)
		if err != nil || len(again.terms) != len(got.terms) {
			t.Errorf("%q reads as %v, and that as %v (%v)", s, got, again, err)
		}
		(Plan{Kinds: Kinds, Interval: time.Second, Targets: got, Nodes: nodes}).Validate() // no panic
	})
}
