package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/torture-harness/torture/histories"
)

// errInterrupted ends a run that was interrupted.
var errInterrupted = errors.New("the run was interrupted")

// errNoResult is what can be told of a run whose harness was killed.
var errNoResult = errors.New("the run was killed before it had a result")

// cutShort is why the run in dir ended before its time, or nil: torture failed,
// was interrupted, or was killed and wrote no result. A check keeps what an
// earlier one knew.
func cutShort(dir string) error {
	before, err := histories.Dir(dir).ReadResult()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errNoResult
	case err != nil:
		return nil // the result is to be written anew
	}
	switch before.State {
	case histories.Killed:
		return errNoResult
	case histories.Interrupted:
		return errInterrupted
	case histories.Failed:
		return errors.New(before.Error)
	}
	return nil
}

// stateOf is the state of a run that ended with cut.
func stateOf(cut error) histories.State {
	switch {
	case cut == nil:
		return histories.Complete
	case cut == errInterrupted:
		return histories.Interrupted
	case cut == errNoResult:
		return histories.Killed
	}
	return histories.Failed
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
