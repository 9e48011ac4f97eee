package histories

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Schedule says what is to be done in a run, and when: faults alone, or also
// the clients' operations if it replays a run.
//
// As a file it is JSON Lines. The first may be {"schedule":1,"run":{…}}, with a
// manifest: the run that it is meant for. Each other line is an invocation in
// the format of histories. It may have a duration for a time, needs neither an
// index nor a type, and so can be written by hand:
//
//	{"time":"2s","process":"nemesis/kill","f":"inject","value":{"id":"kill-1","kind":"kill","targets":["n1"]}}
//	{"time":"5s","process":"nemesis/kill","f":"cure","value":{"id":"kill-1","kind":"kill"}}
type Schedule struct {
	Run *Manifest // nil if the file does not tell
	Ops []Op      // invocations, in the order of their times; Index is the position
}

// scheduleVersion is the version of the format.
const scheduleVersion = 1

// scheduleHead is the first line of a schedule.
type scheduleHead struct {
	Schedule int       `json:"schedule"`
	Run      *Manifest `json:"run,omitempty"`
}

// ReadSchedule reads the file path. What is wrong in it is an *InputError.
// Unlike in a history, a last line that is cut off is wrong as well.
func ReadSchedule(path string) (Schedule, error) { return Limits{}.ReadSchedule(path) }

// ReadSchedule is ReadSchedule within other limits.
func (l Limits) ReadSchedule(path string) (Schedule, error) {
	f, err := os.Open(path)
	if err != nil {
		return Schedule{}, fmt.Errorf("read schedule: %w", err)
	}
	defer f.Close()
	s, err := readSchedule(f, path, l)
	if err != nil {
		return Schedule{}, fmt.Errorf("read schedule: %w", err)
	}
	return s, nil
}

// ReadSchedule reads the schedule that the run in d replayed; see ReadSchedule.
func (d Dir) ReadSchedule(l Limits) (Schedule, error) {
	f, err := d.Open(ScheduleName)
	if err != nil {
		return Schedule{}, fmt.Errorf("read schedule: %w", err)
	}
	defer f.Close()
	s, err := readSchedule(f, d.Path(ScheduleName), l)
	if err != nil {
		return Schedule{}, fmt.Errorf("read schedule: %w", err)
	}
	return s, nil
}

func readSchedule(r io.Reader, file string, l Limits) (Schedule, error) {
	s := scheduleReader{p: parser{durations: true}}
	cut, err := eachLine(r, file, l.record(), s.line)
	if err == nil && cut > 0 {
		err = atLine(file, cut, errCut)
	}
	if err != nil {
		return Schedule{}, err
	}
	return s.Schedule, nil
}

type scheduleReader struct {
	Schedule
	p     parser
	begun bool // there was a line before
}

func (s *scheduleReader) line(_ int, line []byte) error {
	p := &s.p
	if err := p.parse(line); err != nil {
		return err
	}
	first := !s.begun
	s.begun = true
	if first && member(p.ext, "schedule") != nil {
		return s.head(line)
	}
	switch {
	case p.has&hasProcess == 0:
		return badField("process", "it is missing: want nemesis/<kind>, or the number of a client")
	case p.has&hasTime == 0:
		return badField("time", `it is missing: want a duration such as "1.5s", or a number of nanoseconds`)
	case p.has&hasType == 0:
		p.typ = Invoke
	}
	op := p.op()
	op.Index = len(s.Ops)
	if err := schedulable(s.Ops, op); err != nil {
		return err
	}
	s.Ops = append(s.Ops, op)
	return nil
}

// schedulable tells what forbids that op follows ops in a schedule.
func schedulable(ops []Op, op Op) error {
	n := len(ops)
	nemesis := op.Process.Nemesis()
	switch {
	case !nemesis && !op.Process.Client():
		return badField("process", "got %s, want nemesis/<kind>, or the number of a client", op.Process)
	case op.Type != Invoke:
		return badField("type", "got %s: a schedule has invocations only", op.Type)
	case op.F == "":
		return badField("f", "it is missing: want inject, cure, or the name of a client's operation")
	case nemesis && len(op.Ext) > 0:
		return badField(slices.Sorted(maps.Keys(op.Ext))[0], "a nemesis has no such field: want time, process, f and value")
	case op.Time < 0:
		return badField("time", "got %s: a run begins at 0", op.Time)
	case op.Time.Duration() > DurationMax:
		return badField("time", "got %s: a run lasts at most %v", op.Time, DurationMax)
	case n > 0 && op.Time < ops[n-1].Time:
		return badField("time", "got %s after %s: want them in order", op.Time, ops[n-1].Time)
	}
	return nil
}

func (s *scheduleReader) head(line []byte) error {
	var head scheduleHead
	d := json.NewDecoder(bytes.NewReader(modern(line)))
	d.DisallowUnknownFields()
	if err := d.Decode(&head); err != nil {
		var bad *json.UnmarshalTypeError
		if errors.As(err, &bad) {
			return badField(bad.Field, "got a %s, want %s", bad.Value, bad.Type)
		}
		return fmt.Errorf("head of the schedule: %w", err)
	}
	if head.Schedule != scheduleVersion {
		return badField("schedule", "got version %d, and this torture reads %d", head.Schedule, scheduleVersion)
	}
	s.Run = head.Run
	if s.Run != nil {
		if err := s.Run.Validate(); err != nil {
			return fmt.Errorf("head of the schedule: run: %w", err)
		}
	}
	return nil
}

// WriteSchedule writes s to the file path, all of it or, if it fails, nothing.
// Lines are as short as one would write them by hand.
func WriteSchedule(path string, s Schedule) error {
	b, err := s.encode()
	if err != nil {
		return fmt.Errorf("write schedule %s: %w", path, err)
	}
	folder, name := filepath.Split(path)
	return Dir(cmp.Or(folder, ".")).writeAtomically(name, func(f *os.File) error {
		_, err := f.Write(b)
		return err
	})
}

func (s Schedule) encode() ([]byte, error) {
	b, err := json.Marshal(scheduleHead{scheduleVersion, s.Run})
	if err != nil {
		return nil, err
	}
	b = append(b, '\n')
	for i, op := range s.Ops {
		if op.Type == 0 {
			op.Type = Invoke
		}
		if err := cmp.Or(schedulable(s.Ops[:i], op), recordable(op)); err != nil {
			return nil, fmt.Errorf("op %d: %w", i, err)
		}
		b = fmt.Appendf(b, `{"time":"%s","process":`, op.Time)
		b = append(appendRest(appendProcess(b, op.Process), op), "}\n"...)
	}
	return b, nil
}
