package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/run"
)

// progress says on a terminal how far a run is, and prints begin and end of
// each fault. It says nothing where nobody looks.
type progress struct {
	a     *app
	limit time.Duration
	done  chan struct{}
	wait  sync.WaitGroup

	mu     sync.Mutex
	now    histories.Time
	counts [5]int // by type
	faults map[string]string
	order  []string
}

func (a *app) newProgress(tr *run.Trial, _ run.World) *progress {
	p := &progress{a: a, limit: tr.Manifest.TimeLimit, done: make(chan struct{}), faults: map[string]string{}}
	if terminal(a.stderr) && !a.json {
		p.wait.Add(1)
		go p.draw()
	}
	return p
}

func (p *progress) note(op histories.Op) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = op.Time
	if op.Process.Client() {
		p.counts[op.Type]++
		return
	}
	if !op.Process.Nemesis() || op.Type == histories.Invoke {
		return
	}
	var e nemesis.Evidence
	if v, err := histories.Decode[nemesis.Evidence](op); err == nil {
		e = v
	}
	if op.F == nemesis.Inject && op.Type == histories.OK {
		p.faults[e.ID] = e.ID
		p.order = append(p.order, e.ID)
	} else {
		delete(p.faults, e.ID)
	}
}

func (p *progress) stop() {
	close(p.done)
	p.wait.Wait()
}

func (p *progress) draw() {
	defer p.wait.Done()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-p.done:
			redraw(p.a.stderr, "")
			return
		case <-tick.C:
			redraw(p.a.stderr, p.line())
		}
	}
}

func (p *progress) line() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var open []string
	for _, id := range p.order {
		if _, ok := p.faults[id]; ok {
			open = append(open, id)
		}
	}
	at := time.Duration(p.now).Truncate(100 * time.Millisecond)
	return fmt.Sprintf("%v of %v  ok %d  fail %d  info %d  in force: %s", at, p.limit,
		p.counts[histories.OK], p.counts[histories.Fail], p.counts[histories.Info], strings.Join(open, " "))
}
