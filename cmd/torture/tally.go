package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
)

// tally is what a hunt has come to, as --json prints it.
type tally struct {
	Verdict    checker.Verdict `json:"verdict"`
	State      histories.State `json:"state"`
	Asked      int             `json:"asked"` // seeds, at most
	Seeds      int             `json:"seeds"` // that were judged
	Valid      int             `json:"valid"`
	Invalid    int             `json:"invalid"`
	Vacuous    int             `json:"vacuous"`
	Unknown    int             `json:"unknown"`
	Failed     int             `json:"failed"`
	Twice      int             `json:"twice"` // seeds run twice and compared
	Ops        int             `json:"ops"`
	Steps      uint64          `json:"steps"`
	Virtual    time.Duration   `json:"virtual"`
	Elapsed    time.Duration   `json:"elapsed"`
	Found      []seedResult    `json:"found,omitempty"`
	Gaps       *gapTally       `json:"gaps,omitempty"` // of seeds with kill or power
	WhyFailed  []seedReason    `json:"why-failed,omitempty"`
	WhyUnknown []seedReason    `json:"why-unknown,omitempty"`
	WhyVacuous []seedReason    `json:"why-vacuous,omitempty"` // of the first few
	Run        *outcome        `json:"run,omitempty"`         // of the first seed that was found
	Shrunk     *outcome        `json:"shrunk,omitempty"`      // what is left of it
}

// seedReason is why a seed came to nothing.
type seedReason struct {
	Seed uint64 `json:"seed"`
	Why  string `json:"why"`
}

func (r seedReason) String() string { return fmt.Sprintf("seed %d: %s", r.Seed, r.Why) }

func (t *tally) add(r seedResult, again bool) {
	const some = 5
	t.Seeds++
	t.Ops += r.Ops
	t.Steps += r.Steps
	t.Virtual += r.Virtual
	if again {
		t.Twice++
	}
	if len(r.Gaps) > 0 {
		if t.Gaps == nil {
			t.Gaps = &gapTally{}
		}
		t.Gaps.add(r.Gaps)
	}
	switch {
	case r.Error != "":
		t.fail(r)
	case r.Verdict == checker.Valid:
		t.Valid++
	case r.Verdict == checker.Invalid:
		t.Invalid++
	case r.Verdict == checker.Vacuous:
		t.Vacuous++
		if len(t.WhyVacuous) < some {
			t.WhyVacuous = append(t.WhyVacuous, seedReason{r.Seed, r.Why})
		}
	default:
		t.Unknown++
		t.WhyUnknown = append(t.WhyUnknown, seedReason{r.Seed, r.Why})
	}
}

func (t *tally) fail(r seedResult) {
	t.Failed++
	t.State = histories.Failed
	t.WhyFailed = append(t.WhyFailed, seedReason{r.Seed, r.Error})
}

// conclude gives the verdict, once the hunt is over. A hunt has a few vacuous
// seeds; it is vacuous itself when no seed was valid.
func (t *tally) conclude(interrupted bool) {
	bySeed := func(a, b seedReason) int { return int(int64(a.Seed - b.Seed)) }
	for _, list := range [][]seedReason{t.WhyFailed, t.WhyUnknown, t.WhyVacuous} {
		slices.SortFunc(list, bySeed)
	}
	slices.SortFunc(t.Found, func(a, b seedResult) int { return int(int64(a.Seed - b.Seed)) })
	switch {
	case t.Failed > 0:
		t.State = histories.Failed
	case interrupted:
		t.State = histories.Interrupted
	default:
		t.State = histories.Complete
	}
	switch {
	case t.Invalid > 0 || len(t.Found) > 0:
		t.Verdict = checker.Invalid
	case t.State != histories.Complete || t.Unknown > 0 || t.Seeds == 0:
		t.Verdict = checker.Unknown
	case t.Valid == 0:
		t.Verdict = checker.Vacuous
	default:
		t.Verdict = checker.Valid
	}
}

// err is what the hunt exits with.
func (t *tally) err() error {
	switch {
	case t.Failed > 0:
		return failed(errors.New(t.WhyFailed[0].String()))
	case t.Verdict == checker.Valid:
		return nil
	}
	return verdictError(t.Verdict)
}

// counts is "2 seeds: 1 valid, …".
func (t *tally) counts() string {
	return fmt.Sprintf("%s: %d valid, %d invalid, %d vacuous, %d unknown, %d failed",
		count(t.Seeds, "seed"), t.Valid, t.Invalid, t.Vacuous, t.Unknown, t.Failed)
}

// progress is how far the hunt is, in one line. limit is how long it may take,
// 0: as long as it likes.
func (t *tally) progress(limit time.Duration) string {
	rate := float64(t.Seeds) / t.Elapsed.Seconds()
	s := fmt.Sprintf("%d of %s: %d valid, %d invalid, %d vacuous, %d unknown, %d failed; %.1f seeds/s",
		t.Seeds, count(t.Asked, "seed"), t.Valid, t.Invalid, t.Vacuous, t.Unknown, t.Failed, rate)
	left := limit - t.Elapsed
	if t.Seeds > 0 {
		if need := time.Duration(float64(t.Asked-t.Seeds) / rate * float64(time.Second)); limit == 0 || need < left {
			left = need
		}
	}
	if left > 0 {
		s += fmt.Sprintf(", %v left", left.Round(time.Second))
	}
	return s
}

// say prints what a hunt came to.
func (t *tally) say(w io.Writer) {
	s := t.Elapsed.Seconds()
	fmt.Fprintf(w, "%s; %.1f seeds/s, %.0f virtual seconds per second, %.0f node events/s\n", t.counts(), float64(t.Seeds)/s, t.Virtual.Seconds()/s, float64(t.Steps)/s)
	if t.State == histories.Interrupted {
		fmt.Fprintf(w, "interrupted: %d of %s were not begun or not finished\n", t.Asked-t.Seeds, count(t.Asked, "seed"))
	}
	for _, f := range t.Found {
		fmt.Fprintf(w, "  invalid: seed %d: %s\n", f.Seed, strings.Join(f.Kinds, ", "))
	}
	const most = 20
	for _, list := range []struct {
		name    string
		reasons []seedReason
		all     int
	}{{"failed", t.WhyFailed, t.Failed}, {"unknown", t.WhyUnknown, t.Unknown}, {"vacuous", t.WhyVacuous, t.Vacuous}} {
		for i, r := range list.reasons {
			if i == most {
				break
			}
			fmt.Fprintf(w, "  %s: %s\n", list.name, r)
		}
		if more := list.all - min(len(list.reasons), most); more > 0 {
			fmt.Fprintf(w, "  %s: and %d more\n", list.name, more)
		}
	}
	if t.Gaps != nil {
		fmt.Fprintln(w, t.Gaps)
	}
}
