package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/run"
	"github.com/torture-harness/torture/sim"
)

// handlerPatience is how long, in real time, a handler of a simulated node may
// take: a thousand times what a slow one needs on a busy machine.
const handlerPatience = 10 * time.Second

// handlerLooks is how often it is looked in that time whether a handler is still
// at it. Looks are counted rather than time, which goes on while a process is
// stopped.
const handlerLooks = 10

// livelock is the record of a handler that does not come back.
const livelock = "livelock"

var errStuck = errors.New("the run ended while a node was in a handler")

// loop is run.Loop for a process that must end: also when a handler of a
// simulated node does not come back. Then the history's last record says who is
// to blame, and stuck says it to people; it is "" otherwise. Nothing ends a
// goroutine, so the handler goes on as long as the process: it should do no
// further simulation.
func (a *app) loop(ctx context.Context, p run.Plan, world run.World, record func(histories.Op) error) (stuck string, err error) {
	w, ok := world.(*sim.World)
	if !ok {
		return "", run.Loop(ctx, p, world, record)
	}
	patience := a.handlers
	if patience == 0 {
		patience = handlerPatience
	}
	g := &guard{world: w, record: record}
	over := make(chan error, 1)
	go func() { over <- run.Loop(ctx, p, w, g.note) }()
	tick := time.NewTicker(patience / handlerLooks)
	defer tick.Stop()
	interrupt, interrupted := ctx.Done(), false
	var step uint64
	for looks := 0; ; looks++ {
		select {
		case err := <-over:
			return "", err
		case <-interrupt:
			interrupt, interrupted, looks = nil, true, 0
			tick.Reset(time.Second / handlerLooks)
			continue
		case <-tick.C:
		}
		if _, _, now := w.Handling(); !interrupted && (now != step || now == 0) {
			step, looks = now, 0
		}
		switch {
		case looks < handlerLooks:
		case interrupted: // too soon to blame a node
			a.stuck = true
			g.end()
			return "", ctx.Err()
		default:
			if node, handler := g.blame(step); node != "" {
				a.stuck = true
				return fmt.Sprintf("%s has not come back from %s for %v of real time: livelock", node, handler, patience), g.err
			}
		}
	}
}

// guard stands between a loop and its record, until a node is blamed.
type guard struct {
	world  *sim.World
	record func(histories.Op) error

	mu   sync.Mutex
	next int            // index of the next op
	last histories.Time // of the last one
	over bool           // what the loop does now is no longer of the run
	err  error          // that of the last record
}

func (g *guard) note(op histories.Op) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return errStuck
	}
	g.next, g.last = op.Index+1, op.Time
	return g.record(op)
}

// end ends the record.
func (g *guard) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = true
}

// blame records who is in a handler since a step, and ends the record; unless
// the handler has come back meanwhile: then node is "".
func (g *guard) blame(since uint64) (node, handler string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	node, handler, step := g.world.Handling()
	if step != since {
		return "", ""
	}
	g.over = true
	g.err = g.record(histories.Op{
		Index: g.next, Time: g.last, Process: histories.World, Type: histories.Info, F: livelock, Node: node,
		Value: histories.Encode(map[string]string{"handler": handler}),
	})
	return node, handler
}

// endless names the node and the handler that had not come back when h ended, or
// is "".
func endless(h histories.History) string {
	if h.Len() == 0 {
		return ""
	}
	op := h.At(h.Len() - 1)
	var v struct {
		Handler string `json:"handler"`
		Times   int    `json:"times"`
	}
	if op.Process != histories.World || op.F != livelock || json.Unmarshal(op.Value, &v) != nil || v.Times > 0 {
		return ""
	}
	return op.Node + "'s " + v.Handler
}
