package run

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
)

// recast plays a schedule in a world where nothing happens quite as it did when
// the schedule was made. Elections above all: a fault that struck the leader
// must strike it again, whatever its name is now. So an operation that began
// under a leader waits until there is one, and nodes that the schedule has
// treated alike so far exchange their names, if then the same ones lead. And the
// time of the schedule does not pass the completion of an injection or a cure
// until that is complete here: a container takes longer to end and to start than
// a simulated node.
type recast struct {
	schedule gen.Generator // in its own time, by its own names
	reigns   []histories.Reign
	undone   []histories.Done // what is not complete, by its time in the schedule

	late  time.Duration     // how much later everything is than in the schedule
	naps  time.Duration     // how much of that is for want of leaders
	vain  int               // the number of the reign that was waited for in vain
	actor map[string]string // who plays a node of the schedule; who is missing plays itself
	past  []nemesis.Fault   // faults that set nodes apart, in the names of the schedule
	known []string          // nodes whom clients have spoken to
}

const (
	// recastNap is how often it is looked who leads.
	recastNap = 10 * time.Millisecond
	// recastWait is how late a schedule gets for want of leaders.
	recastWait = 5 * time.Second
	// recastLinger is how much longer than in the schedule a replay goes on, for
	// nodes that restart, elect and send again in their own time.
	recastLinger = time.Second
)

// newRecast plays script as m tells of its recording, and goes on for a while.
func newRecast(script []histories.Op, m histories.Manifest) gen.Generator {
	undone := awaited(script, m.Done)
	end := histories.Time(m.End)
	if len(undone) > 0 {
		end = max(end, undone[len(undone)-1].At)
	}
	schedule := gen.Any(gen.Replay(script), lasting{end.Add(recastLinger)})
	return &recast{schedule: schedule, reigns: m.Reigns, undone: undone, vain: -1}
}

// awaited are those of done that script has, in order. If it was edited it may
// lack some, and begin others later than they were complete.
func awaited(script []histories.Op, done []histories.Done) (known []histories.Done) {
	begun := map[[2]string][]histories.Time{}
	for _, op := range script {
		if op.Process.Nemesis() {
			what := [2]string{op.F, faultID(op)}
			begun[what] = append(begun[what], op.Time)
		}
	}
	for _, d := range done {
		what := [2]string{d.F, d.Fault}
		if times := begun[what]; len(times) > 0 {
			d.At = max(d.At, times[0])
			known, begun[what] = append(known, d), times[1:]
		}
	}
	slices.SortStableFunc(known, func(a, b histories.Done) int { return cmp.Compare(a.At, b.At) })
	return known
}

func (r *recast) Op(ctx gen.Context) (*gen.Op, gen.Generator) {
	op, rest := r.schedule.Op(r.then(ctx))
	next := *r
	next.schedule = rest
	if op == nil {
		if rest == nil {
			return nil, nil
		}
		return nil, &next
	}
	reign, leaders := r.leaders(op.Time)
	if len(r.undone) > 0 && op.Time > r.undone[0].At {
		return nil, r // until that is complete
	}
	op.Time = op.Time.Add(r.late)
	if op.Time > ctx.Time || op.Type == gen.Sleeping {
		return op, &next
	}
	if len(ctx.Primaries) < len(leaders) && r.vain != reign {
		return r.wait(ctx, op.Process, reign)
	}
	next.cast(ctx.Nodes, leaders, ctx.Primaries)
	return next.translate(op), &next
}

// then is ctx at the time of the schedule.
func (r *recast) then(ctx gen.Context) gen.Context {
	ctx.Time = ctx.Time.Add(-r.late)
	if len(r.undone) > 0 {
		ctx.Time = min(ctx.Time, r.undone[0].At)
	}
	return ctx
}

// leaders are those who led at a time of the schedule, and the number of their
// reign.
func (r *recast) leaders(t histories.Time) (reign int, names []string) {
	n, _ := slices.BinarySearchFunc(r.reigns, t, func(r histories.Reign, t histories.Time) int { return cmp.Compare(r.From, t) })
	if n == 0 {
		return -1, nil
	}
	return n - 1, r.reigns[n-1].Leaders
}

// wait lets p sleep for a moment, and the schedule with it.
func (r *recast) wait(ctx gen.Context, p histories.Process, reign int) (*gen.Op, gen.Generator) {
	nap := ctx.FillFor(gen.Op{Type: gen.Sleeping, F: "wait for a leader", Value: histories.Encode(recastNap)}, p)
	if nap == nil {
		return nil, r
	}
	next := *r
	next.late += recastNap
	if next.naps += recastNap; next.naps > recastWait {
		next.vain = reign
	}
	return nap, &next
}

// cast gives the parts of leaders to those that lead, as far as the nodes in
// question have been treated alike.
func (r *recast) cast(nodes, leaders, leading []string) {
	for _, part := range leaders {
		if slices.Contains(leading, r.plays(part)) {
			continue
		}
		for _, other := range nodes {
			if !slices.Contains(leaders, other) && slices.Contains(leading, r.plays(other)) && r.alike(part, other) {
				actor := maps.Clone(r.actor)
				if actor == nil {
					actor = map[string]string{}
				}
				actor[part], actor[other] = r.plays(other), r.plays(part)
				r.actor = actor
				break
			}
		}
	}
}

func (r *recast) plays(part string) string {
	if a, ok := r.actor[part]; ok {
		return a
	}
	return part
}

// traces are the kinds of faults that a node is not the same after.
var traces = []nemesis.Kind{nemesis.Kill, nemesis.Stop, nemesis.Power, nemesis.Clock, nemesis.Membership}

// alike tells whether clients spoke to neither of two nodes, and all faults that
// are in force or leave traces would be the same with their names exchanged.
func (r *recast) alike(a, b string) bool {
	exchanged := func(name string) string {
		switch name {
		case a:
			return b
		case b:
			return a
		}
		return name
	}
	return !slices.Contains(r.known, a) && !slices.Contains(r.known, b) &&
		!slices.ContainsFunc(r.past, func(f nemesis.Fault) bool { return !f.Same(f.Renamed(exchanged)) })
}

// translate puts op into the names of the nodes that play it, and remembers it.
func (r *recast) translate(op *gen.Op) *gen.Op {
	now := *op
	switch {
	case op.Process.Client():
		if !slices.Contains(r.known, op.Node) {
			r.known = append(slices.Clone(r.known), op.Node)
		}
		now.Node = r.plays(op.Node)
	case op.F == nemesis.Inject:
		f, err := nemesis.Decode(*op)
		if err != nil {
			panic(fmt.Sprintf("run: a script that was checked: %v", err))
		}
		r.past = append(slices.Clone(r.past), f)
		now.Value = histories.Encode(f.Renamed(r.plays))
	case op.F == nemesis.Cure:
		r.past = slices.DeleteFunc(slices.Clone(r.past), func(f nemesis.Fault) bool {
			return f.ID == faultID(*op) && !slices.Contains(traces, f.Kind)
		})
	}
	return &now
}

func (r *recast) Update(ctx gen.Context, ev gen.Op) gen.Generator {
	next := *r
	next.schedule = gen.Tell(r.schedule, r.then(ctx), ev)
	if ev.Type != histories.Invoke && ev.Process.Nemesis() {
		next.done(ctx.Time, ev)
	}
	return &next
}

// done has the schedule go on from where it waited for op, which is complete.
func (r *recast) done(now histories.Time, op histories.Op) {
	id := doneID(op)
	i := slices.IndexFunc(r.undone, func(d histories.Done) bool { return d.F == op.F && d.Fault == id })
	if i < 0 {
		return
	}
	r.late = max(r.late, (now - r.undone[i].At).Duration())
	r.undone = slices.Delete(slices.Clone(r.undone), i, i+1)
}

// checkReigns tells what is wrong with reigns over nodes.
func checkReigns(reigns []histories.Reign, nodes []string) error {
	var errs []error
	for i, r := range reigns {
		if i > 0 && r.From < reigns[i-1].From {
			errs = append(errs, fmt.Errorf("reign %d begins at %v, before the one that it follows: want them in order", i, r.From))
		}
		for _, n := range r.Leaders {
			if !slices.Contains(nodes, n) {
				errs = append(errs, fmt.Errorf("reign %d: there is no node %q among %v", i, n, nodes))
			}
		}
	}
	return errors.Join(errs...)
}

// Recorded is m with what h tells of the circumstances in which its schedule was
// played, for a replay where they are others: who led, and when faults were in
// force and over. primary is the role of who leads.
func Recorded(m histories.Manifest, h histories.History, primary string) histories.Manifest {
	m.Reigns, m.Done = reigns(h, primary), done(h)
	return m
}

func done(h histories.History) (all []histories.Done) {
	for i, op := range h.All() {
		if op.Type != histories.Invoke && op.Process.Nemesis() {
			all = append(all, histories.Done{F: op.F, Fault: doneID(op), At: h.Time(i)})
		}
	}
	return all
}

// doneID names the fault of an injection or a cure that is complete.
func doneID(op histories.Op) string {
	e, err := histories.Decode[nemesis.Evidence](op)
	if err != nil {
		return ""
	}
	return e.ID
}

// reigns tells who led when in h: the nodes whose latest role is primary.
func reigns(h histories.History, primary string) []histories.Reign {
	if primary == "" {
		return nil
	}
	var all []histories.Reign
	var leaders []string
	for i := range h.Len() {
		f := h.F(i)
		if p := h.Process(i); p.Client() || p.Nemesis() || f != "role" && f != "crash" {
			continue
		}
		var value struct {
			Role string `json:"role"`
		}
		_ = json.Unmarshal(h.Value(i), &value) // a record that is none of ours names no leader
		name := h.Process(i).String()
		at, led := slices.BinarySearch(leaders, name)
		switch leads := f == "role" && value.Role == primary; {
		case leads == led:
			continue
		case leads:
			leaders = slices.Insert(slices.Clone(leaders), at, name)
		default:
			leaders = slices.Delete(slices.Clone(leaders), at, at+1)
		}
		all = append(all, histories.Reign{From: h.Time(i), Leaders: leaders})
	}
	return all
}
