package checker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/torture-harness/torture/histories"
)

// The definitions of the orders, on logs of deliveries: for all pairs.
type bcastLogs struct {
	sender map[string]string // of a message that was broadcast
	sent   map[string][]string
	before map[string]map[string]bool // what its sender had delivered or broadcast
	logs   map[string][]string
}

func (b bcastLogs) fifoViolated() bool {
	for _, log := range b.logs {
		for i, m := range log {
			for _, earlier := range b.sent[b.sender[m]] {
				if earlier == m {
					break
				}
				if !slices.Contains(log[:i], earlier) {
					return true
				}
			}
		}
	}
	return false
}

func (b bcastLogs) causalViolated() bool {
	causes := map[string]map[string]bool{}
	var close func(m string) map[string]bool
	close = func(m string) map[string]bool {
		if causes[m] == nil {
			causes[m] = map[string]bool{}
			for c := range b.before[m] {
				causes[m][c] = true
				for cc := range close(c) {
					causes[m][cc] = true
				}
			}
		}
		return causes[m]
	}
	for _, log := range b.logs {
		for i, m := range log {
			for c := range close(m) {
				if c != m && !slices.Contains(log[:i], c) {
					return true
				}
			}
		}
	}
	return false
}

func (b bcastLogs) totalViolated() bool {
	for _, x := range b.logs {
		for _, y := range b.logs {
			for i, m := range x {
				for _, n := range x[i+1:] {
					if j, k := slices.Index(y, m), slices.Index(y, n); j >= 0 && k >= 0 && k < j {
						return true
					}
				}
			}
		}
	}
	return false
}

func (b bcastLogs) prefixViolated() bool {
	for _, x := range b.logs {
		for _, y := range b.logs {
			for i := range min(len(x), len(y)) {
				if x[i] != y[i] {
					return true
				}
			}
		}
	}
	return false
}

// randomBroadcast delivers in an order that is nearly right.
func randomBroadcast(r *rand.Rand, order string) ([]histories.Op, bcastLogs) {
	b := bcastLogs{map[string]string{}, map[string][]string{}, map[string]map[string]bool{}, map[string][]string{}}
	nodes := []string{"n1", "n2", "n3"}[:2+r.IntN(2)]
	var ops []histories.Op
	record := func(node, f, id string) {
		ops = append(ops, histories.Op{Process: histories.Named(node), Type: histories.Info, F: f, Value: raw(`{"id":%q}`, id)})
	}
	var all []string
	for range 4 + r.IntN(14) {
		n := nodes[r.IntN(len(nodes))]
		if r.IntN(3) == 0 && len(all) < 6 {
			m := fmt.Sprintf("m%d", len(all)+1)
			b.before[m] = map[string]bool{}
			for _, d := range slices.Concat(b.logs[n], b.sent[n]) {
				b.before[m][d] = true
			}
			b.sender[m], b.sent[n], all = n, append(b.sent[n], m), append(all, m)
			record(n, "bcast", m)
			continue
		}
		var next []string // what n may deliver
		wild := r.IntN(6) == 0
		for _, m := range all {
			ready := !slices.Contains(b.logs[n], m)
			if !wild {
				switch order {
				case "total":
					ready = ready && len(b.logs[n]) < len(all) && all[len(b.logs[n])] == m
				case "fifo":
					for _, e := range b.sent[b.sender[m]] {
						if e == m {
							break
						}
						ready = ready && slices.Contains(b.logs[n], e)
					}
				case "causal":
					for e := range b.before[m] {
						ready = ready && slices.Contains(b.logs[n], e)
					}
				}
			}
			if ready {
				next = append(next, m)
			}
		}
		if len(next) > 0 {
			m := next[r.IntN(len(next))]
			b.logs[n] = append(b.logs[n], m)
			record(n, "deliver", m)
		}
	}
	return ops, b
}

func TestBroadcastAgreesWithDefinition(t *testing.T) {
	violated := map[string]int{}
	random(t, 3000, func(t *testing.T, r *rand.Rand) {
		order := []string{"total", "fifo", "causal"}[r.IntN(3)]
		ops, b := randomBroadcast(r, order)
		h := historyOf(t, ops)
		res := Broadcast(BroadcastOptions{Order: order}).Check(t.Context(), h)
		for _, a := range res.Anomalies {
			checkAnomaly(t, res, a, h)
		}
		got := kindsIn(res)
		want := map[string]bool{}
		switch order {
		case "total":
			want["total-order"], want["order-gap"] = b.totalViolated(), b.prefixViolated()
		case "fifo":
			want["fifo-order"] = b.fifoViolated()
		case "causal":
			want["causal-order"] = b.causalViolated()
		}
		for kind, is := range want {
			violated[fmt.Sprint(kind, is)]++
			if slices.Contains(got, kind) != is {
				t.Errorf("order %s: found %v, but %s is %v by definition%s", order, got, kind, is, show(h))
			}
		}
		checkReads(t, order, b)
	})
	if len(violated) != 8 {
		t.Errorf("not every property was violated and kept: %v", violated)
	}
}

// checkReads: clients who read the same logs come to the same verdict on the
// order of the messages.
func checkReads(t *testing.T, order string, b bcastLogs) {
	t.Helper()
	if order != "total" {
		return
	}
	var ops []histories.Op
	call := func(f, value, node string) {
		ops = append(ops, histories.Op{Process: 0, Type: histories.Invoke, F: f, Value: raw("%s", value), Node: node}, histories.Op{Process: 0, Type: histories.OK, F: f, Value: raw("%s", value), Node: node})
	}
	for _, m := range sortedKeys(b.sender) {
		call("broadcast", m[1:], b.sender[m])
	}
	for _, n := range sortedKeys(b.logs) {
		for cut := range len(b.logs[n]) + 1 { // each read extends the one before
			list := ""
			for i, m := range b.logs[n][:cut] {
				if i > 0 {
					list += ","
				}
				list += m[1:]
			}
			call("read", "["+list+"]", n)
		}
	}
	h := historyOf(t, ops)
	got := kindsIn(Broadcast(BroadcastOptions{Order: order}).Check(t.Context(), h))
	if slices.Contains(got, "total-order") != b.totalViolated() || slices.Contains(got, "order-gap") != b.prefixViolated() {
		t.Errorf("found %v, want total-order %v and order-gap %v%s", got, b.totalViolated(), b.prefixViolated(), show(h))
	}
	if slices.Contains(got, "non-monotonic-read") || slices.Contains(got, "phantom") {
		t.Errorf("found %v%s", got, show(h))
	}
}

func TestAgreementAgreesWithDefinition(t *testing.T) {
	seen := map[string]int{}
	random(t, 2000, func(t *testing.T, r *rand.Rand) {
		ops, b := randomBroadcast(r, "")
		down := map[string]bool{}
		for _, n := range []string{"n1", "n2", "n3"} {
			present := slices.ContainsFunc(ops, func(op histories.Op) bool { return op.Process == histories.Named(n) })
			if present && r.IntN(3) == 0 {
				down[n] = true
				ops = append(ops, histories.Op{Process: histories.Named(n), Type: histories.Info, F: "crash"})
			} else if !present {
				down[n] = true // unknown to the checker
			}
		}
		want := map[string]bool{}
		for m, sender := range b.sender {
			correct, crashed, missed := false, false, false
			for _, n := range []string{"n1", "n2", "n3"} {
				has := slices.Contains(b.logs[n], m)
				correct = correct || has && !down[n]
				crashed = crashed || has && down[n]
				missed = missed || !has && !down[n]
			}
			want["agreement"] = want["agreement"] || correct && missed
			want["uniform-agreement"] = want["uniform-agreement"] || crashed && missed && !correct
			want["validity"] = want["validity"] || !down[sender] && !slices.Contains(b.logs[sender], m) && (correct || !crashed)
		}
		h := historyOf(t, ops)
		got := kindsIn(Broadcast(BroadcastOptions{}).Check(t.Context(), h))
		for _, kind := range []string{"agreement", "uniform-agreement", "validity"} {
			seen[fmt.Sprint(kind, want[kind])]++
			if slices.Contains(got, kind) != want[kind] {
				t.Errorf("found %v, but %s is %v by definition%s", got, kind, want[kind], show(h))
			}
		}
	})
	if len(seen) != 6 {
		t.Errorf("%v", seen)
	}
}
