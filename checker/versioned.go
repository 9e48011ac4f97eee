package checker

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/torture-harness/torture/histories"
)

// Versioned checks registers whose writes and reads return the version that
// the system gave the value, in the value: [value, version], or, if invocations
// of writes have null in the first place, where the version is to come, [version,
// value], as jepsen.etcd has it. This is
// linearizability in linear time: versions say in which order the calls took
// effect, so it remains to see that no call has taken effect after another that
// began when it had ended. One register for each key.
//
//	stale-read        a read of a version older than one known before it began
//	version-order     a write with a version that is not newer than all those
//	version-conflict  two values of one version
func Versioned() Checker {
	return Func(func(_ context.Context, h histories.History) Result {
		f := find("versioned-register")
		first, err := versionFirst(h)
		if err != nil {
			return unknown("versioned-register", err)
		}
		want := "[value, version]"
		if first {
			want = "[version, value]"
		}
		f.looked("versions against the order of time, of values that are " + want)
		var all []versioned
		eachCall(h, func(begin, end int, outcome histories.Type) {
			if err != nil || outcome != histories.OK {
				return
			}
			v := versioned{key: h.KeyID(begin), begin: begin, end: end, write: h.F(begin) != "read"}
			n, ok := 0, true
			array := elements(h.Value(end), func(e []byte) {
				if n++; (n == 1) == first {
					v.version, ok = integer(e)
				} else {
					v.value = text(e)
				}
			})
			if !array || !ok || n != 2 {
				err = fmt.Errorf("op %d (%s): value %s: want %s", end, h.F(end), h.Value(end), want)
			}
			all = append(all, v)
		})
		if err != nil {
			return unknown("versioned-register", err)
		}
		checkVersions(f, all)
		f.stats["calls"] = len(all)
		r := f.result("")
		if len(all) == 0 {
			r.vacuous("no call succeeded")
		}
		return r
	})
}

// versionFirst tells in which place of a write's value its version is to come:
// the invocation has null there, and a value in the other.
func versionFirst(h histories.History) (first bool, err error) {
	places := [2]int{-1, -1} // the first op that has null in that place alone
	eachCall(h, func(begin, _ int, _ histories.Type) {
		var empty []bool
		elements(h.Value(begin), func(e []byte) { empty = append(empty, null(e)) })
		if h.F(begin) == "read" || h.Type(begin) != histories.Invoke || len(empty) != 2 || empty[0] == empty[1] {
			return
		}
		i := 1
		if empty[0] {
			i = 0
		}
		if places[i] < 0 {
			places[i] = begin
		}
	})
	if places[0] >= 0 && places[1] >= 0 {
		err = fmt.Errorf("op %d (%s) has null in the first place of its value, where the version would come, and op %d in the second",
			places[0], h.F(places[0]), places[1])
	}
	return places[0] >= 0, err
}

// versioned is a call that returned a version.
type versioned struct {
	key        int
	begin, end int
	write      bool
	version    int64
	value      string
}

// rank orders the calls by version, reads of a version after its write.
func (v versioned) rank() int64 {
	if v.write {
		return 2 * v.version
	}
	return 2*v.version + 1
}

// checkVersions reports, for each key, the calls whose versions contradict the
// order of time. It reorders all.
func checkVersions(f *findings, all []versioned) {
	type object struct {
		newest *versioned           // of the calls that have ended, the one of the highest rank
		seen   map[int64]*versioned // of a version, its write, or else the first call
	}
	slices.SortFunc(all, func(a, b versioned) int { return cmp.Compare(a.begin, b.begin) })
	ends := make([]*versioned, len(all))
	for i := range all {
		ends[i] = &all[i]
	}
	slices.SortFunc(ends, func(a, b *versioned) int { return cmp.Compare(a.end, b.end) })
	objects := map[int]*object{}
	done := 0
	for i := range all {
		v := &all[i]
		for ; ends[done].end < v.begin; done++ {
			e := ends[done]
			if o := objects[e.key]; o.newest == nil || e.rank() > o.newest.rank() {
				o.newest = e
			}
		}
		o := objects[v.key]
		if o == nil {
			o = &object{seen: map[int64]*versioned{}}
			objects[v.key] = o
		}
		switch first := o.seen[v.version]; {
		case first == nil:
			o.seen[v.version] = v
		case first.value != v.value:
			f.addf("version-conflict", []int{first.end, v.end}, "op %d says that version %d is %s, op %d that it is %s",
				first.end, v.version, first.value, v.end, v.value)
		case first.write && v.write:
			f.addf("version-conflict", []int{first.end, v.end}, "op %d and op %d both wrote version %d", first.end, v.end, v.version)
		case v.write:
			o.seen[v.version] = v
		}
		switch n := o.newest; {
		case n == nil || n.rank() < v.rank() || !v.write && n.version == v.version:
		case v.write:
			f.addf("version-order", []int{n.end, v.end}, "op %d wrote version %d, though op %d had shown version %d before it began",
				v.end, v.version, n.end, n.version)
		default:
			f.addf("stale-read", []int{n.end, v.end}, "op %d read version %d, though op %d had shown version %d before it began",
				v.end, v.version, n.end, n.version)
		}
	}
}
