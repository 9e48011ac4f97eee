package checker

import (
	"time"

	"github.com/torture-harness/torture/histories"
)

// progress: after the world healed and a client asked for something, something
// is committed, or an operation succeeds.
func (r *raftCheck) progress(bound time.Duration) {
	end := endingOf(r.h)
	if end.from == r.h.Len() || !end.judged {
		return
	}
	healed := -1
	for i := range end.from {
		if r.h.Process(i) == histories.World && r.h.F(i) == "heal" {
			healed = i
		}
	}
	since := histories.Time(0)
	if healed >= 0 {
		since = r.h.Time(healed)
	}
	for i := healed + 1; i < r.h.Len(); i++ {
		if r.h.Process(i).Client() && r.h.Type(i) == histories.Invoke {
			since = max(since, r.h.Time(i)) // nothing was asked for before
			break
		}
	}
	for i := healed + 1; i < r.h.Len(); i++ {
		ok := r.h.Process(i).Client() && r.h.Type(i) == histories.OK && (r.h.Pair(i) < 0 || r.h.Pair(i) > healed)
		if !ok && (r.h.Process(i).Client() || r.h.F(i) != "commit") {
			continue
		}
		took := max(time.Duration(r.h.Time(i)-since), 0) // a commit may come before the first request
		r.stats["recovery-ns"] = int64(took)
		if bound > 0 && took > bound {
			r.addf("no-progress", []int{max(healed, 0), i}, "nothing was committed and no operation succeeded until op %d, %v after all faults had ended and clients asked: want %v at most", i, took, bound)
		}
		return
	}
	r.addf("no-progress", []int{max(healed, 0), end.from}, "nothing was committed and no operation succeeded after all faults had ended, although clients tried (op %d)", end.from)
}
