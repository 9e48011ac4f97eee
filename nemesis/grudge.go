package nemesis

import (
	"math/rand/v2"
	"slices"
)

// A Grudge maps a node to those it does not hear. It may be one-sided. The
// shapes below are Jepsen's (jepsen.nemesis); each list is in the order of the
// nodes given.
type Grudge = map[string][]string

// Groups is the grudge in which nodes hear those of their own group only.
// Nodes of no group hear everybody, and are heard.
func Groups(groups ...[]string) Grudge {
	g := Grudge{}
	for i, mine := range groups {
		for j, other := range groups {
			if i == j || len(other) == 0 {
				continue
			}
			for _, n := range mine {
				g[n] = append(g[n], other...)
			}
		}
	}
	return g
}

// Isolate is the grudge between victims and the rest of nodes. The victims
// hear one another.
func Isolate(nodes, victims []string) Grudge {
	rest := without(nodes, victims)
	victims = without(nodes, rest)
	if len(rest) == 0 || len(victims) == 0 {
		return nil
	}
	return Groups(victims, rest)
}

// Alone is the grudge in which nobody hears anybody.
func Alone(nodes []string) Grudge {
	groups := make([][]string, len(nodes))
	for i, n := range nodes {
		groups[i] = []string{n}
	}
	return Groups(groups...)
}

// Bisect splits nodes in two halves. The second is the larger one if there is
// no middle.
func Bisect(nodes []string) (a, b []string) {
	return nodes[:len(nodes)/2], nodes[len(nodes)/2:]
}

// Bridge is the grudge between two halves of nodes that leaves one node in
// contact with both: the first of the larger half.
func Bridge(nodes []string) Grudge {
	if len(nodes) < 3 {
		return nil
	}
	a, b := Bisect(nodes)
	return Groups(a, b[1:])
}

// Deaf is the one-sided grudge of victims: they do not hear the rest of nodes,
// which hear them. Mute has it the other way round.
func Deaf(nodes, victims []string) Grudge {
	rest := without(nodes, victims)
	g := Grudge{}
	for _, n := range victims {
		if len(rest) > 0 {
			g[n] = rest
		}
	}
	return g
}

// Mute is the grudge of the rest of nodes, who do not hear the victims.
func Mute(nodes, victims []string) Grudge {
	return Deaf(nodes, without(nodes, victims))
}

// MajoritiesRing is the grudge in which every node hears a majority, but few
// hear the same one. Up to five nodes it is exact, and no two do: nodes stand
// in a ring, in the order given, and each hears the window of majority size
// around itself. Beyond five there are few such rings, and r draws a symmetric
// graph in which each node has a majority, and few have more.
func MajoritiesRing(r *rand.Rand, nodes []string) Grudge {
	if len(nodes) <= 5 {
		return ring(nodes)
	}
	return stochasticRing(r, nodes)
}

func ring(nodes []string) Grudge {
	n := len(nodes)
	m := majority(n)
	g := Grudge{}
	for i := range nodes {
		var window []string
		for j := range m {
			window = append(window, nodes[(i+j)%n])
		}
		if deaf := without(nodes, window); len(deaf) > 0 {
			g[window[m/2]] = deaf
		}
	}
	return g
}

// stochasticRing links, time and again, the node with the fewest links to the
// one with the fewest among those it lacks, chance deciding ties, until each
// has a majority.
func stochasticRing(r *rand.Rand, nodes []string) Grudge {
	n := len(nodes)
	linked := make([][]bool, n)
	degree := make([]int, n) // itself included
	for i := range linked {
		linked[i] = make([]bool, n)
		linked[i][i], degree[i] = true, 1
	}
	fewest := func(eligible func(int) bool) int {
		best, ties := -1, 0
		for i := range n {
			switch {
			case !eligible(i) || best >= 0 && degree[i] > degree[best]:
			case best < 0 || degree[i] < degree[best]:
				best, ties = i, 1
			default:
				if ties++; r.IntN(ties) == 0 {
					best = i
				}
			}
		}
		return best
	}
	for {
		a := fewest(func(int) bool { return true })
		if degree[a] >= majority(n) {
			break
		}
		b := fewest(func(i int) bool { return !linked[a][i] })
		linked[a][b], linked[b][a] = true, true
		degree[a], degree[b] = degree[a]+1, degree[b]+1
	}
	g := Grudge{}
	for i := range n {
		for j := range n {
			if !linked[i][j] {
				g[nodes[i]] = append(g[nodes[i]], nodes[j])
			}
		}
	}
	return g
}

// majority is the smallest number of n nodes that is more than half.
func majority(n int) int { return n/2 + 1 }

// minority is the largest number of n nodes that is less than half.
func minority(n int) int { return max(n-1, 0) / 2 }

// without is nodes, in order, save those of some.
func without(nodes, some []string) []string {
	var rest []string
	for _, n := range nodes {
		if !slices.Contains(some, n) {
			rest = append(rest, n)
		}
	}
	return rest
}

func shuffled(r *rand.Rand, nodes []string) []string {
	nodes = slices.Clone(nodes)
	r.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	return nodes
}
