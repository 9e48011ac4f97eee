package main

import (
	"bytes"
	"fmt"

	"github.com/torture-harness/torture/histories"
)

// identity compares a history, op by op, with the one that it is to repeat.
type identity struct {
	of     string // the run that is repeated, its directory
	build  string // of the torture that recorded it
	want   histories.History
	whole  bool // want is all of a run, not only what there was of it when it was cut short
	next   int
	differ string // where the two first differ; "": they do not, so far
}

// impure says what makes a repetition differ.
const impure = "a clock, randomness of its own, the order of a map or a goroutine, in a node, a generator or a checker's input, decides something that the seed does not"

// note takes the next op of the repetition.
func (d *identity) note(op histories.Op) {
	i := d.next
	d.next++
	switch {
	case d.differ != "":
	case i < d.want.Len():
		was, is := encoded(d.want.At(i)), encoded(op)
		if !bytes.Equal(was, is) {
			d.differ = fmt.Sprintf("op %d was\n  %s\nand is now\n  %s", i, clipped(was), clipped(is))
		}
	case d.whole:
		d.differ = fmt.Sprintf("the history had %s; now op %d follows:\n  %s", count(i, "event"), i, clipped(encoded(op)))
	}
}

// end tells that the repetition is over.
func (d *identity) end() {
	if d.differ == "" && d.next < d.want.Len() {
		d.differ = fmt.Sprintf("the history had %s; now it ends after %d, where op %d was\n  %s", count(d.want.Len(), "event"), d.next, d.next, clipped(encoded(d.want.At(d.next))))
	}
}

// encoded is op as a line of history.jsonl has it.
func encoded(op histories.Op) []byte { return histories.AppendJSON(nil, op) }

func clipped(line []byte) string {
	const most = 400
	if len(line) <= most {
		return string(line)
	}
	return fmt.Sprintf("%s… (%d bytes)", bytes.ToValidUTF8(line[:most], nil), len(line))
}

// verify tells that the repetition is over. It fails if it differs from what the
// same program recorded: then something decides what happens that the seed does
// not. Another build may well do something else: nodes are mended between one
// and the next.
func (d *identity) verify() error {
	d.end()
	if d.differ == "" || d.build == "" || d.build != build() {
		return nil
	}
	return fmt.Errorf("the replay is not the run %s that it repeats: %s\n%s", d.of, d.differ, impure)
}

// repetition tells of a run that repeats another.
type repetition struct {
	Of        string `json:"of"`
	Identical bool   `json:"identical"`
	Differs   string `json:"differs,omitempty"` // where, first
}

func (d *identity) result() *repetition {
	return &repetition{Of: d.of, Identical: d.differ == "", Differs: d.differ}
}

// note is a line about r for the terminal.
func (r *repetition) note() string {
	if r.Identical {
		return "the history is that of " + r.Of + ", event by event"
	}
	return "this is not the history of " + r.Of + ", which another build of torture recorded: " + r.Differs
}

// compare says where a repetition first differs from a history, or "".
func compare(was, is histories.History) string {
	d := identity{want: was, whole: true}
	for _, op := range is.All() {
		d.note(op)
	}
	d.end()
	return d.differ
}
