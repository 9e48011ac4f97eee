package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
)

// hunt is a search through seeds.
type hunt struct {
	manifest func(seed uint64) histories.Manifest
	first    uint64
	seeds    int           // at most
	limit    time.Duration // of the hunt, 0: none
	seedMax  time.Duration // of one seed
	workers  int
	twice    int // every so many seeds, one is run twice and compared; 0: none
	keepOn   bool
	found    func(seedResult) bool // tells whether this is what is hunted
	each     func(*tally)          // after each seed, one at a time

	mu    sync.Mutex
	next  uint64
	tally tally
	errs  []error
}

// tally is what a hunt has come to.
type tally struct {
	Seeds    int           `json:"seeds"`
	Valid    int           `json:"valid"`
	Invalid  int           `json:"invalid"`
	Vacuous  int           `json:"vacuous"`
	Unknown  int           `json:"unknown"`
	Failed   int           `json:"failed"`
	Twice    int           `json:"twice"` // seeds run twice and compared
	Ops      int           `json:"ops"`
	Steps    uint64        `json:"steps"`
	Virtual  time.Duration `json:"virtual"`
	Elapsed  time.Duration `json:"elapsed"`
	Found    []seedResult  `json:"found,omitempty"`
	Errors   []string      `json:"errors,omitempty"`
	Run      *outcome      `json:"run,omitempty"`         // of the first seed that was found
	Shrunk   *outcome      `json:"shrunk,omitempty"`      // what is left of it
	WhyEmpty []string      `json:"why_vacuous,omitempty"` // of the first few
}

// run runs the hunt until it has found something, or nothing is left. Seeds that
// are under way are finished then, so that the first that is found does not
// depend on who was quicker.
func (h *hunt) run(ctx context.Context) (*tally, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if h.limit > 0 {
		ctx, cancel = context.WithTimeout(ctx, h.limit)
		defer cancel()
	}
	began := time.Now()
	var wait sync.WaitGroup
	for range h.workers {
		wait.Add(1)
		go func() {
			defer wait.Done()
			if err := h.work(ctx, began); err != nil {
				h.mu.Lock()
				h.errs = append(h.errs, err)
				h.mu.Unlock()
				cancel()
			}
		}()
	}
	wait.Wait()
	h.tally.Elapsed = time.Since(began)
	slices.SortFunc(h.tally.Found, func(a, b seedResult) int { return int(int64(a.Seed - b.Seed)) })
	return &h.tally, errors.Join(h.errs...)
}

func (h *hunt) work(ctx context.Context, began time.Time) error {
	w, err := startWorker()
	if err != nil {
		return err
	}
	defer func() { w.stop() }()
	for {
		seed, ok := h.take(ctx)
		if !ok {
			return nil
		}
		m := h.manifest(seed)
		res, err := w.simulate(ctx, m, h.seedMax)
		again := h.twice > 0 && (seed-h.first)%uint64(h.twice) == 0
		if err == nil && again {
			var second seedResult
			if second, err = w.simulate(ctx, m, h.seedMax); err == nil && second.Hash != res.Hash {
				res.Error = fmt.Sprintf("seed %d is not deterministic: run twice it gave two histories (%.12s…, %.12s…)", seed, res.Hash, second.Hash)
			}
		}
		if err != nil {
			if errors.Is(ctx.Err(), context.Canceled) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil
			}
			res = seedResult{Seed: seed, Error: err.Error()}
			w.stop()
			if w, err = startWorker(); err != nil {
				return err
			}
		}
		h.mu.Lock()
		h.tally.add(res, again)
		h.tally.Elapsed = time.Since(began)
		if (res.Error != "" || h.found(res)) && !h.keepOn {
			h.next = uint64(h.seeds) // it is enough
		}
		if h.found(res) {
			h.tally.Found = append(h.tally.Found, res)
		}
		if h.each != nil {
			h.each(&h.tally)
		}
		h.mu.Unlock()
	}
}

func (h *hunt) take(ctx context.Context) (seed uint64, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil || h.next >= uint64(h.seeds) {
		return 0, false
	}
	h.next++
	return h.first + h.next - 1, true
}

func (t *tally) add(r seedResult, again bool) {
	const some = 5
	t.Seeds++
	t.Ops += r.Ops
	t.Steps += r.Steps
	t.Virtual += r.Virtual
	if again {
		t.Twice++
	}
	switch {
	case r.Error != "":
		t.Failed++
		t.Errors = append(t.Errors, r.Error)
	case r.Verdict == checker.Valid:
		t.Valid++
	case r.Verdict == checker.Invalid:
		t.Invalid++
	case r.Verdict == checker.Vacuous:
		t.Vacuous++
		if len(t.WhyEmpty) < some {
			t.WhyEmpty = append(t.WhyEmpty, fmt.Sprintf("seed %d: %s", r.Seed, r.Why))
		}
	default:
		t.Unknown++
	}
}

func (t *tally) line() string {
	s := t.Elapsed.Seconds()
	return fmt.Sprintf("%s: %d valid, %d invalid, %d vacuous, %d unknown, %d failed; %.1f seeds/s, %.0f virtual seconds per second, %.0f node events/s",
		count(t.Seeds, "seed"), t.Valid, t.Invalid, t.Vacuous, t.Unknown, t.Failed, float64(t.Seeds)/s, t.Virtual.Seconds()/s, float64(t.Steps)/s)
}

// say prints what a hunt came to.
func (t *tally) say(w io.Writer) {
	fmt.Fprintln(w, t.line())
	for _, f := range t.Found {
		fmt.Fprintf(w, "  invalid: seed %d: %s\n", f.Seed, strings.Join(f.Kinds, ", "))
	}
	for _, e := range t.Errors {
		fmt.Fprintln(w, "  failed:", e)
	}
	for _, why := range t.WhyEmpty {
		fmt.Fprintln(w, "  vacuous:", why)
	}
}

// gravest is the exit code of the gravest outcome. A hunt has a few vacuous
// seeds; it is vacuous itself when no seed was valid.
func (t *tally) gravest() error {
	switch {
	case t.Failed > 0:
		return failed(errors.New(t.Errors[0]))
	case t.Invalid > 0:
		return verdictError(checker.Invalid)
	case t.Valid == 0 && t.Vacuous > 0:
		return verdictError(checker.Vacuous)
	case t.Unknown > 0 || t.Seeds == 0:
		return verdictError(checker.Unknown)
	}
	return nil
}
