package main

import (
	"errors"
	"fmt"

	"github.com/torture-harness/torture/docker"
	"github.com/torture-harness/torture/histories"
)

// errInterrupted ends a run that was interrupted.
var errInterrupted = errors.New("the run was interrupted")

// errNoEnd is what can be told of a run of whose end nothing is known.
var errNoEnd = errors.New("the run was killed before it had a result, or what it left is not all there")

// recorded notes in dir how the run ended there, and that it is not judged yet:
// whatever becomes of the judge, the history is known to be all of it, or not.
func recorded(dir string, cut error) error {
	head := struct {
		Version int             `json:"version"`
		State   histories.State `json:"state"`
		Error   string          `json:"error,omitempty"`
	}{Version: histories.ResultVersion, State: stateOf(cut), Error: reason(cut)}
	return histories.Dir(dir).Save(histories.ResultName, head)
}

// cutShort is why the run in dir ended before its time, or nil: torture failed,
// was interrupted, or was killed and wrote no result; or that cannot be read, or
// tells of more ops than there are now. A check keeps what an earlier one knew.
func cutShort(dir string, ops int) error {
	before, err := histories.Dir(dir).ReadResult()
	if err != nil || ops < before.Ops {
		return errNoEnd
	}
	switch before.State {
	case histories.Complete:
		return nil
	case histories.Interrupted:
		return errInterrupted
	case histories.Disturbed:
		return &docker.Disturbed{What: before.Error}
	case histories.Failed:
		return errors.New(before.Error)
	}
	return errNoEnd
}

// stateOf is the state of a run that ended with cut.
func stateOf(cut error) histories.State {
	switch {
	case cut == nil:
		return histories.Complete
	case cut == errInterrupted:
		return histories.Interrupted
	case cut == errNoEnd:
		return histories.Killed
	case disturbance(cut) != nil:
		return histories.Disturbed
	}
	return histories.Failed
}

// reason is what is kept of cut: why torture failed, or what disturbed the run.
func reason(cut error) string {
	switch stateOf(cut) {
	case histories.Failed:
		return cut.Error()
	case histories.Disturbed:
		return disturbance(cut).What
	}
	return ""
}

// disturbance is what somebody else did that err tells of, or nil.
func disturbance(err error) *docker.Disturbed {
	var d *docker.Disturbed
	errors.As(err, &d)
	return d
}

// known is the part of h up to which the records of all nodes are known.
//
// A run in containers that is cut short has of each node's records those that
// had arrived, of one node later ones than of another: what one did may be
// there without what it did it for, and look like an anomaly. Up to the least
// of the nodes' last Lamport times, what happened before anything that is there
// is there too (F. Mattern, Virtual Time and Global States of Distributed
// Systems, 1989, calls that a consistent cut). A node that ended has told all
// it had to tell.
func known(h histories.History, nodes []string) histories.History {
	last := map[histories.Process]uint64{}
	ended := map[histories.Process]bool{}
	for i := range h.Len() {
		p := h.Process(i)
		last[p] = max(last[p], h.Lamport(i))
		ended[p] = h.F(i) == "crash"
	}
	n := h.Len()
	for _, node := range nodes {
		p := histories.Named(node)
		if ended[p] {
			continue
		}
		for i := range n {
			if h.Lamport(i) > last[p] {
				n = i
				break
			}
		}
	}
	if n == h.Len() {
		return h
	}
	var b histories.Builder
	for i := range n {
		if err := b.Add(h.At(i)); err != nil {
			panic(fmt.Sprintf("op %d of a history that was read: %v", i, err))
		}
	}
	return b.History()
}
