package checker

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"html"
	"slices"

	"github.com/anishathalye/porcupine"
)

// Porcupine is asked in two cases: it goes depth first, and so may find an
// order of the calls where the search, which goes breadth first, has run out
// of budget; and it draws. Its own limit is one of time, which would make
// verdicts depend on the machine; it is held to a number of steps instead,
// after which every further step is refused, so that it soon gives up.

// stepper is a Model in porcupine's terms, with a limit.
type stepper[S comparable, C any] struct {
	m     Model[S, C]
	ctx   context.Context
	limit int // steps; negative: none
	steps int
	spent bool // the limit was reached
}

func (t *stepper[S, C]) model() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return t.m.Init },
		Step: func(state, input, _ any) (bool, any) {
			if t.limit >= 0 {
				t.steps++
				if t.spent = t.spent || t.steps > t.limit || t.steps%1024 == 0 && t.ctx.Err() != nil; t.spent {
					return false, state
				}
			}
			p := input.(span[C])
			next, ok := t.m.Step(state.(S), p.call)
			if !ok && p.open() {
				return true, state // it never took effect
			}
			return ok, next
		},
		DescribeOperation: func(input, _ any) string { return t.m.describe(input.(span[C]).call) },
		// Porcupine's page takes the description of a state for HTML, that of an
		// operation for text.
		DescribeState: func(state any) string { return html.EscapeString(t.m.describeState(state.(S))) },
		DescribeOperationMetadata: func(m any) string {
			s, _ := m.(string)
			return s
		},
	}
}

// operations are the calls in porcupine's terms. A call of unknown outcome
// ends after all others, where it does no harm.
func operations[C any](part []span[C]) []porcupine.Operation {
	last := 0
	rows := map[int]int{}
	for _, p := range part {
		last = max(last, p.begin+1)
		if !p.open() {
			last = max(last, p.end+1)
		}
		rows[int(p.process)] = 0
	}
	for row, process := range sortedKeys(rows) {
		rows[process] = row
	}
	ops := make([]porcupine.Operation, len(part))
	for i, p := range part {
		end, meta := p.end, fmt.Sprintf("process %s, ops %d and %d", p.process, p.begin, p.end)
		if p.open() {
			end, meta = last+i, fmt.Sprintf("process %s, op %d, outcome unknown", p.process, p.begin)
		}
		ops[i] = porcupine.Operation{ClientId: rows[int(p.process)], Input: p, Call: int64(p.begin), Return: int64(end), Metadata: meta}
	}
	return ops
}

// depthFirst asks porcupine. decided is false if it took more than limit
// steps.
func depthFirst[S comparable, C any](ctx context.Context, m Model[S, C], part []span[C], limit int) (linearizable, decided bool) {
	t := &stepper[S, C]{m: m, ctx: ctx, limit: limit}
	ok := porcupine.CheckOperations(t.model(), operations(part))
	return ok, ok || !t.spent
}

// draw makes porcupine's page of the calls of a part: what it could put in
// order, and where it could not go on.
func draw[S comparable, C any](ctx context.Context, m Model[S, C], part []span[C], limit int) []byte {
	t := &stepper[S, C]{m: m, ctx: ctx, limit: limit}
	_, info := porcupine.CheckOperationsVerbose(t.model(), operations(part), 0)
	// Porcupine lists partial orders as its maps have them.
	for _, partial := range info.PartialLinearizations() {
		slices.SortFunc(partial, func(a, b []int) int {
			return cmp.Or(cmp.Compare(len(b), len(a)), slices.Compare(a, b))
		})
	}
	unlimited := &stepper[S, C]{m: m, ctx: ctx, limit: -1}
	var page bytes.Buffer
	if porcupine.Visualize(unlimited.model(), info, &page) != nil {
		return nil // a part that cannot be drawn is still judged
	}
	return bytes.Replace(page.Bytes(), []byte("<head>"), []byte("<head>\n"+drawingPolicy), 1)
}

// drawingPolicy lets porcupine's page run its script, and load nothing.
const drawingPolicy = `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">`
