package generators

import (
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/torture-harness/torture/histories"
)

// Replay runs the recorded invocations among ops again: each at its time, or
// as soon after as its thread is free. Client p's thread is p modulo the
// number of clients, a nemesis has its own; on a thread the order of ops is
// kept, and of those that are due the first recorded comes first. F, Value,
// Key, Node, Final and Ext are as recorded, the process is the one that the
// thread runs now. Operations of threads that Replay does not see are left
// out; a nemesis that the run does not have at all panics.
//
// ops may be long: a question costs the number of threads.
func Replay(ops []Op) Generator {
	var invoked []Op
	for _, op := range ops {
		if op.Type == histories.Invoke {
			op.Index, op.Lamport = 0, 0
			invoked = append(invoked, op)
		}
	}
	if len(invoked) == 0 {
		return nil
	}
	return &replay{&recording{ops: invoked}, nil}
}

// recording is what Replay plays.
type recording struct {
	ops []Op
	// tracks is made when the crew is known: a memo, of which all there is to
	// see is that it was made once.
	tracks atomic.Pointer[tracks]
}

// tracks are a recording's ops by thread.
type tracks struct {
	of     *crew
	thread [][]int32 // by thread: indices into ops
}

func (r *recording) by(w *crew) *tracks {
	if t := r.tracks.Load(); t != nil && t.of == w {
		return t
	}
	t := &tracks{w, make([][]int32, len(w.first))}
	for i, op := range r.ops {
		thread, ok := w.thread(op.Process)
		if !ok {
			panic(fmt.Sprintf("generators: Replay: op %d at %v (%s): the run has no process %s", i, op.Time, op.F, op.Process))
		}
		t.thread[thread] = append(t.thread[thread], int32(i))
	}
	r.tracks.Store(t)
	return t
}

type replay struct {
	*recording
	played []int32 // by thread: how many ops; nil: none; never written
}

func (r *replay) Op(ctx Context) (*Op, Generator) {
	tracks := r.by(ctx.crew)
	best, bestAt, left := -1, 0, false
	for thread := range ctx.view.threads.all() {
		track := tracks.thread[thread]
		if r.played != nil {
			track = track[r.played[thread]:]
		}
		if len(track) == 0 {
			continue
		}
		left = true
		i := int(track[0])
		if ctx.free.has(thread) && (best < 0 || r.before(i, best)) {
			best, bestAt = i, thread
		}
	}
	switch {
	case !left:
		return nil, nil
	case best < 0:
		return nil, r
	}
	played := slices.Clone(r.played)
	if played == nil {
		played = make([]int32, len(tracks.thread))
	}
	played[bestAt]++
	return ctx.fill(r.ops[best], bestAt), &replay{r.recording, played}
}

// before tells whether op i was recorded before op j.
func (r *replay) before(i, j int) bool {
	if a, b := r.ops[i].Time, r.ops[j].Time; a != b {
		return a < b
	}
	return i < j
}

func (r *replay) Update(Context, Op) Generator { return r }

func (r *replay) String() string { return describe("Replay", fmt.Sprintf("%d ops", len(r.ops))) }
