package nemesis

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// show writes a grudge as "n1:n2,n3 n2:n1".
func show(g Grudge) string {
	var words []string
	for _, n := range slices.Sorted(maps.Keys(g)) {
		words = append(words, n+":"+strings.Join(g[n], ","))
	}
	return strings.Join(words, " ")
}

func TestGrudges(t *testing.T) {
	for _, c := range []struct {
		name      string
		got       Grudge
		want      string
		ofNodes   int
		unable    int
		symmetric bool
	}{
		{"halves of 5", Groups(Bisect(names(5))), "n1:n3,n4,n5 n2:n3,n4,n5 n3:n1,n2 n4:n1,n2 n5:n1,n2", 5, 2, true},
		{"halves of 4", Groups(Bisect(names(4))), "n1:n3,n4 n2:n3,n4 n3:n1,n2 n4:n1,n2", 4, 2, true},
		// n3 is of no group, and still talks with everybody.
		{"three groups", Groups([]string{"n1"}, []string{"n2"}, []string{"n4", "n5"}), "n1:n2,n4,n5 n2:n1,n4,n5 n4:n1,n2 n5:n1,n2", 5, 0, true},
		{"one of 3", Isolate(names(3), []string{"n2"}), "n1:n2 n2:n1,n3 n3:n2", 3, 1, true},
		{"everybody", Isolate(names(3), names(3)), "", 3, 0, true},
		{"nobody", Isolate(names(3), nil), "", 3, 0, true},
		{"alone", Alone(names(3)), "n1:n2,n3 n2:n1,n3 n3:n1,n2", 3, 2, true},
		{"bridge of 5", Bridge(names(5)), "n1:n4,n5 n2:n4,n5 n4:n1,n2 n5:n1,n2", 5, 0, true},
		{"bridge of 3", Bridge(names(3)), "n1:n3 n3:n1", 3, 0, true},
		{"bridge of 2", Bridge(names(2)), "", 2, 0, true},
		{"deaf", Deaf(names(3), []string{"n1"}), "n1:n2,n3", 3, 1, false},
		{"mute", Mute(names(3), []string{"n1"}), "n2:n1 n3:n1", 3, 1, false},
		// Each of five hears itself and its two neighbours in the ring, so that
		// somebody can lead a majority.
		{"ring of 5", MajoritiesRing(nil, names(5)), "n1:n3,n4 n2:n4,n5 n3:n1,n5 n4:n1,n2 n5:n2,n3", 5, 2, true},
		{"ring of 4", MajoritiesRing(nil, names(4)), "n1:n3 n2:n4 n3:n1 n4:n2", 4, 1, true},
		// Of three each hears one other, and is not heard by it.
		{"ring of 3", MajoritiesRing(nil, names(3)), "n1:n2 n2:n3 n3:n1", 3, 2, false},
		{"ring of 2", MajoritiesRing(nil, names(2)), "", 2, 0, true},
	} {
		if got := show(c.got); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		if got := Unable(names(c.ofNodes), Fault{Kind: Partition, Params: Params{Drop: c.got}}); got != c.unable {
			t.Errorf("%s: %d nodes unable, want %d", c.name, got, c.unable)
		}
		if got := symmetric(c.got); got != c.symmetric {
			t.Errorf("%s: symmetric: %v", c.name, got)
		}
	}
}

func symmetric(g Grudge) bool {
	for n, from := range g {
		for _, m := range from {
			if !slices.Contains(g[m], n) {
				return false
			}
		}
	}
	return true
}

// Everybody in a ring hears a majority; up to five no two the same one, beyond
// that most have one of their own.
func TestMajoritiesRing(t *testing.T) {
	for n := 1; n <= 15; n++ {
		for seed := range uint64(20) {
			nodes := names(n)
			r := rand.New(rand.NewPCG(seed, 0))
			g := MajoritiesRing(r, shuffled(r, nodes))
			heard := map[string]bool{}
			for _, node := range nodes {
				hears := without(nodes, g[node])
				if !slices.Contains(hears, node) || len(hears) < majority(n) {
					t.Fatalf("%d nodes, seed %d: %s hears %v", n, seed, node, hears)
				}
				if n <= 5 && len(hears) != majority(n) {
					t.Errorf("%d nodes, seed %d: %s hears %d", n, seed, node, len(hears))
				}
				heard[strings.Join(hears, " ")] = true
			}
			if n >= 3 && n <= 5 && len(heard) != n {
				t.Errorf("%d nodes, seed %d: only %d different majorities: %v", n, seed, len(heard), heard)
			}
			if n > 5 && (!symmetric(g) || len(heard) <= n/2 || len(g) == 0) {
				t.Errorf("%d nodes, seed %d: %d different majorities, %s", n, seed, len(heard), show(g))
			}
		}
	}
}

func TestUnable(t *testing.T) {
	kill := func(ns ...string) Fault { return Fault{Kind: Kill, Targets: ns} }
	cut := func(g Grudge) Fault { return Fault{Kind: Partition, Params: Params{Drop: g}} }
	nodes := names(5)
	for _, c := range []struct {
		name   string
		faults []Fault
		want   int
	}{
		{"nothing", nil, 0},
		{"one down twice", []Fault{kill("n1"), {Kind: Pause, Targets: []string{"n1"}}}, 1},
		{"two down", []Fault{kill("n1"), {Kind: Membership, Targets: []string{"n2"}}}, 2},
		{"all down", []Fault{kill(nodes...)}, 5},
		{"one down on the small side", []Fault{kill("n1"), cut(Isolate(nodes, []string{"n1", "n2"}))}, 2},
		{"one down on the large side", []Fault{kill("n3"), cut(Isolate(nodes, []string{"n1", "n2"}))}, 3},
		{"the bridge down", []Fault{kill("n3"), cut(Bridge(nodes))}, 3},
		{"beside the bridge", []Fault{kill("n1", "n5"), cut(Bridge(nodes))}, 2},
		{"two partitions", []Fault{cut(Isolate(nodes, []string{"n1"})), cut(Isolate(nodes, []string{"n2"}))}, 2},
		{"what does not count", []Fault{{Kind: Clock, Targets: nodes}, {Kind: Loss, Targets: nodes}, {Kind: Client, Targets: nodes}}, 0},
		{"nodes that are not there", []Fault{kill("n9"), cut(Grudge{"n9": {"n1"}, "n1": {"n8"}})}, 0},
	} {
		if got := Unable(nodes, c.faults...); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

func ExampleGroups() {
	fmt.Println(show(Groups([]string{"n1", "n2"}, []string{"n3"})))
	// Output: n1:n3 n2:n3 n3:n1,n2
}
