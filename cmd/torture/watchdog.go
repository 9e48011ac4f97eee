package main

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/torture-harness/torture/histories"
)

// hangLimit is how long nothing may be recorded before a run counts as hung:
// two minutes more than what it may well spend in silence, be it the recovery,
// operations that time out, the wait for the next one, or a gap in what is
// replayed.
func hangLimit(m histories.Manifest) time.Duration {
	between := min(20/m.Rate, float64(24*time.Hour/time.Second))
	limit := (2 * time.Minute).Seconds() + m.Recovery.Seconds() + 20*m.Timeout.Seconds() + m.End.Seconds() + between
	return time.Duration(min(limit, math.MaxInt64/1e10) * float64(time.Second))
}

// watchdog notices a run that hangs.
type watchdog struct {
	pats atomic.Uint64
	done chan struct{}
}

// watchdogLooks is how often it looks for progress before it gives up. Looks are
// counted rather than time, which goes on while this process is stopped.
const watchdogLooks = 100

// newWatchdog calls hangs once nothing has happened for limit.
func newWatchdog(limit time.Duration, hangs func()) *watchdog {
	d := &watchdog{done: make(chan struct{})}
	go d.watch(limit/watchdogLooks, hangs)
	return d
}

// pat tells that there is progress.
func (d *watchdog) pat() { d.pats.Add(1) }

func (d *watchdog) stop() { close(d.done) }

func (d *watchdog) watch(every time.Duration, hangs func()) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	last, looks := d.pats.Load(), 0
	for looks < watchdogLooks {
		select {
		case <-d.done:
			return
		case <-tick.C:
		}
		looks++
		if now := d.pats.Load(); now != last {
			last, looks = now, 0
		}
	}
	hangs()
}

// hangs ends a run that does, with a dump of all goroutines in the run's
// directory, the world taken down, and exit code 255. The goroutine that hangs
// cannot be asked to do that.
func (a *app) hangs(limit time.Duration, dir string, world io.Closer, log *zap.Logger) {
	const name = "goroutines.txt"
	path := histories.Dir(dir).Path(name)
	err := histories.Dir(dir).SaveFile(name, dump())
	log.Info("nothing has happened for long: the run hangs", zap.Duration("limit", limit), zap.String("dump", path), zap.Error(err))
	closed := make(chan struct{})
	go func() { defer close(closed); _ = world.Close() }()
	select {
	case <-closed:
	case <-time.After(30 * time.Second):
	}
	fmt.Fprintf(a.stderr, "torture failed: nothing was recorded for %v: the run hangs; its goroutines are in %s; torture clean %s removes what containers are left\n", limit, path, dir)
	a.interrupts.leave(exitFailed)
}

func dump() []byte {
	for size := 1 << 20; ; size *= 2 {
		b := make([]byte, size)
		if n := runtime.Stack(b, true); n < size {
			return b[:n]
		}
	}
}
