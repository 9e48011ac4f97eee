package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

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
	keep     func(*seedResult)     // what is done with it at once, one at a time; nil: nothing
	beat     time.Duration         // how often to call each; 0: never
	each     func(*tally)

	mu      sync.Mutex
	next    uint64
	tally   tally
	errs    []error
	keeping sync.Mutex
}

// run runs the hunt until it has found something, or nothing is left. Seeds that
// are under way are finished then, so that the first that is found does not
// depend on who was quicker; when time is up or ctx ends they are given up, and
// do not count.
func (h *hunt) run(ctx context.Context) (*tally, error) {
	hunting, cancel := context.WithCancel(ctx)
	defer cancel()
	if h.limit > 0 {
		hunting, cancel = context.WithTimeout(hunting, h.limit)
		defer cancel()
	}
	h.tally.Asked = h.seeds
	began := time.Now()
	defer h.report(began)()
	var wait sync.WaitGroup
	for range h.workers {
		wait.Add(1)
		go func() {
			defer wait.Done()
			if err := h.work(hunting); err != nil {
				h.mu.Lock()
				h.errs = append(h.errs, err)
				h.mu.Unlock()
				cancel()
			}
		}()
	}
	wait.Wait()
	h.tally.Elapsed = time.Since(began)
	over := h.tally.Seeds == h.seeds || h.enough()
	h.tally.conclude(ctx.Err() != nil && !over)
	return &h.tally, errors.Join(h.errs...)
}

// report calls each again and again, until what it returns is called.
func (h *hunt) report(began time.Time) (stop func()) {
	if h.beat <= 0 {
		return func() {}
	}
	done, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(h.beat)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				h.mu.Lock()
				h.tally.Elapsed = time.Since(began)
				h.each(&h.tally)
				h.mu.Unlock()
			}
		}
	}()
	return func() { close(done); <-over }
}

// enough tells whether the hunt has what it is for.
func (h *hunt) enough() bool { return !h.keepOn && len(h.tally.Found)+h.tally.Failed > 0 }

func (h *hunt) work(ctx context.Context) error {
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
		again := h.twice > 0 && (seed-h.first)%uint64(h.twice) == 0
		res, err := h.simulate(ctx, w, seed, again)
		if ctx.Err() != nil {
			return nil // it may be half a seed: nobody waits for it
		}
		if err != nil {
			res = seedResult{Seed: seed, Error: err.Error()}
			if err := w.renew(); err != nil {
				return err
			}
		}
		found := res.Error == "" && h.found(res)
		if found && h.keep != nil {
			h.keeping.Lock()
			h.keep(&res)
			h.keeping.Unlock()
		}
		h.mu.Lock()
		h.tally.add(res, again)
		res.Gaps = nil // the tally has them
		if found {
			h.tally.Found = append(h.tally.Found, res)
		}
		h.mu.Unlock()
	}
}

// simulate has a worker do a seed, twice if it is to be compared.
func (h *hunt) simulate(ctx context.Context, w *worker, seed uint64, again bool) (res seedResult, err error) {
	m := h.manifest(seed)
	if !again {
		return w.simulate(ctx, seedRequest{Manifest: m}, h.seedMax)
	}
	dir, err := os.MkdirTemp("", "torture-twice-*")
	if err != nil {
		return res, err
	}
	defer os.RemoveAll(dir)
	paths := [2]string{filepath.Join(dir, "first.jsonl"), filepath.Join(dir, "second.jsonl")}
	var hashes [2]string
	for i, path := range paths {
		if res, err = w.simulate(ctx, seedRequest{Manifest: m, History: path}, h.seedMax); err != nil {
			return res, err
		}
		hashes[i] = res.Hash
	}
	if hashes[0] == hashes[1] {
		return res, nil
	}
	where := "where they differ is not known: "
	first, _, err1 := histories.ReadFile(paths[0], histories.ReadOptions{})
	second, _, err2 := histories.ReadFile(paths[1], histories.ReadOptions{})
	if err := errors.Join(err1, err2); err != nil {
		where += err.Error()
	} else {
		where = compare(first, second)
	}
	res.Error = "it is not deterministic: run twice, " + where + "\n" + impure
	return res, nil
}

func (h *hunt) take(ctx context.Context) (seed uint64, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil || h.enough() || h.next >= uint64(h.seeds) {
		return 0, false
	}
	h.next++
	return h.first + h.next - 1, true
}
