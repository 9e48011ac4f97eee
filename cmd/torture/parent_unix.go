//go:build unix

package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

const (
	envChild   = "TORTURE_CHILD" // says that there is a lifeline
	lifelineFD = 3               // its descriptor, the first after stderr
)

// supervised returns the exit code of work, or exitFailed if work crashed.
//
// Go's runtime ends a program that is out of memory, threads or descriptors
// with exit code 2, which is a verdict here. So a child does the work: this
// program once more, in the same process group and session, with the same
// files. Its parent only waits, passes signals on, and tells an end that the
// child reports from one that it does not. Commands that are part of another's
// work have no parent: they are watched by that.
func supervised(args []string, work func(*lifeline) int) int {
	if inner(args) {
		return work(nil)
	}
	if os.Getenv(envChild) == "" {
		return parent()
	}
	l := inherited()
	code := work(l)
	l.exit(code)
	return code
}

// inherited is the lifeline that a parent has left to this process, or nil.
func inherited() *lifeline {
	os.Unsetenv(envChild) // neither it nor the descriptor is for children of our own
	syscall.CloseOnExec(lifelineFD)
	if err := syscall.SetNonblock(lifelineFD, true); err != nil {
		return nil
	}
	return &lifeline{file: os.NewFile(lifelineFD, "lifeline")}
}

// parent has a child do what this process was started for.
func parent() int {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, append(endings(), syscall.SIGQUIT)...) // by which Go shows what goroutines do
	child, line, err := startChild()
	if err != nil {
		complain(os.Stderr, "torture failed: ", fmt.Errorf("it cannot start itself: %w; it needs some memory, processes and 16 descriptors, which limits may deny it (ulimit -a)", err))
		return exitFailed
	}
	var asked atomic.Bool // to end
	go func() {
		for s := range signals {
			if s != syscall.SIGQUIT {
				asked.Store(true)
			}
			_ = syscall.Kill(child, s.(syscall.Signal))
		}
	}()
	code, left := reports(line)
	var status syscall.WaitStatus
	for {
		if _, err := syscall.Wait4(child, &status, 0, nil); !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	switch {
	case code >= 0:
		return code
	case asked.Load() && slices.Contains(endings(), os.Signal(status.Signal())): // before the child could hear of it
		fmt.Fprintln(os.Stderr, "interrupted")
		return exitUnknown
	}
	complain(os.Stderr, "torture failed: ", errors.New(strings.TrimSpace(crash(status)+"\n"+left)))
	return exitFailed
}

// startChild starts this program again, and returns the end of the lifeline on
// which the child reports.
func startChild() (pid int, line *os.File, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, nil, err
	}
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return 0, nil, os.NewSyscallError("socketpair", err)
	}
	syscall.CloseOnExec(ends[0])
	defer syscall.Close(ends[1])
	pid, err = syscall.ForkExec(self, os.Args, &syscall.ProcAttr{
		Env:   append(os.Environ(), envChild+"=1"),
		Files: []uintptr{0, 1, 2, uintptr(ends[1])},
	})
	return pid, os.NewFile(uintptr(ends[0]), "lifeline"), err
}

// reports reads what a child reports until it ends: its exit code, or -1, and
// what is to be done if it crashed.
func reports(line *os.File) (code int, left string) {
	code = -1
	for lines := bufio.NewScanner(line); lines.Scan(); {
		switch kind, what, _ := strings.Cut(lines.Text(), " "); kind {
		case reportLeft:
			left = what
		case reportExit:
			if n, err := strconv.Atoi(what); err == nil {
				code = n
			}
		}
	}
	return code, left
}

// crash says how a child ended that reported nothing.
func crash(status syscall.WaitStatus) string {
	const less = "a shorter --time-limit, a lower --rate or fewer --workers need less"
	switch {
	case status.Signaled() && status.Signal() == syscall.SIGKILL:
		return "it crashed (signal: killed; out of memory?); if nobody killed it, its memory is too little: " + less
	case status.Signaled():
		return fmt.Sprintf("it crashed (signal: %v); its last words, if it had any, are above", status.Signal())
	}
	return fmt.Sprintf("it crashed (exit status %d); its last words are above; if they speak of memory, threads or files, its limits are too low (ulimit -a): %s", status.ExitStatus(), less)
}
