package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// asOne is the time within which several signals are one: what ends a job may
// signal it, and then its group; and parents pass signals on.
const asOne = time.Second

// exitPipe is how shells see a program that SIGPIPE ended.
const exitPipe = 128 + int(syscall.SIGPIPE)

// interrupts ends this process when it is asked to: by Ctrl-C, SIGTERM, a
// terminal or a parent that is gone, or since nobody reads what it prints. A
// command that has something to cure ends in order, all others at once; so does
// any that is asked again. A nil one hears nothing. It may be used concurrently.
type interrupts struct {
	line   *lifeline
	stderr io.Writer
	exit   func(code int)

	mu     sync.Mutex
	first  time.Time // when it was asked; zero: it was not
	quiet  bool      // nobody reads
	lost   error     // why what was printed went nowhere
	held   int       // commands that end in order
	cancel func()    // has the outermost do so
	left   string    // what to do about what an end at once leaves
}

// endings are the signals by which a process is asked to end. One that is to
// survive its terminal (nohup) ignores SIGHUP from the start.
func endings() []os.Signal {
	all := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		all = append(all, syscall.SIGHUP)
	}
	return all
}

// hearInterrupts has signals end this process, in which a command is done.
func hearInterrupts(line *lifeline) *interrupts {
	i := &interrupts{line: line, stderr: os.Stderr, exit: func(code int) {
		line.exit(code)
		os.Exit(code)
	}}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, endings()...)
	// Go ends a program that writes to a closed stdout, which is for us to do.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	go func() {
		for range signals {
			i.ask(time.Now())
		}
	}()
	if line != nil {
		go func() {
			line.wait()
			i.orphan()
		}()
	}
	return i
}

// orphan has the process end since its parent is gone, in whatever order it is
// ending already: nobody is left who could be impatient.
func (i *interrupts) orphan() {
	i.mu.Lock()
	ending := i.held > 0 && !i.first.IsZero()
	i.mu.Unlock()
	if !ending {
		i.ask(time.Now())
	}
}

// ask asks the process to end.
func (i *interrupts) ask(now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	again := !i.first.IsZero()
	switch {
	case again && now.Sub(i.first) < asOne:
		return
	case i.held == 0:
		i.say("interrupted" + i.hint())
		i.exit(exitUnknown)
	case again:
		i.say("interrupted twice: torture leaves at once" + i.hint())
		i.exit(exitFailed)
	default:
		i.first = now
		i.say("interrupted: torture ends in order; once more, and it leaves at once")
		i.cancel()
	}
}

func (i *interrupts) hint() string {
	if i.left == "" {
		return ""
	}
	return "; " + i.left
}

// say tells people, who may look at a line that is drawn again and again.
func (i *interrupts) say(what string) {
	if i.quiet {
		return
	}
	if terminal(i.stderr) {
		what = "\r\x1b[K" + what
	}
	fmt.Fprintln(i.stderr, what)
}

// until is ctx until the process is asked to end, which it then does in order,
// as long as stop is not called. If somebody else ends in order already, it is
// for them to decide.
func (i *interrupts) until(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	if i == nil {
		return ctx, cancel
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.held++; i.held == 1 {
		i.cancel = cancel
	}
	return ctx, sync.OnceFunc(func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.held--
		cancel()
	})
}

// leaves says what is to be done if the process ends at once from now on.
func (i *interrupts) leaves(what string) {
	if i == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.left = what
	i.line.left(what)
}

// outlet is stdout or stderr.
type outlet struct {
	file       *os.File
	interrupts *interrupts
}

// Fd is its descriptor.
func (o outlet) Fd() uintptr { return o.file.Fd() }

// Write writes b, or nowhere if that is closed: then the process is to end,
// quietly. Other errors are for the end, see interrupts.result.
func (o outlet) Write(b []byte) (int, error) {
	if _, err := o.file.Write(b); errors.Is(err, syscall.EPIPE) {
		o.interrupts.unread()
	} else if err != nil {
		o.interrupts.unwritten(err)
	}
	return len(b), nil
}

func (i *interrupts) unread() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.quiet {
		return
	}
	i.quiet = true
	if i.held == 0 {
		i.exit(exitPipe)
	} else if i.first.IsZero() {
		i.first = time.Now()
		i.cancel()
	}
}

func (i *interrupts) unwritten(err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.lost = err
}

// leave ends the process at once, with a code that means something.
func (i *interrupts) leave(code int) {
	if i == nil {
		os.Exit(code)
	}
	i.exit(code)
}

// result is the exit code of a command that ended with code: another if what it
// had to say was not heard.
func (i *interrupts) result(code int) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.quiet:
		return exitPipe
	case i.lost != nil:
		complain(i.stderr, "torture failed: ", i.lost)
		return exitFailed
	}
	return code
}

// promptly does f, and returns when that is done, or at once when ctx is: then f
// goes on, and what comes of it is nobody's.
func promptly[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		v, err := f()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}
