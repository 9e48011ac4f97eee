package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
)

// lifeline is what a process that does a command has of its parent, see
// supervised: a socket on which it reports, and which ends with the parent. A
// nil one is of a process without such a parent. It may be used concurrently.
type lifeline struct {
	file *os.File
	once sync.Once
}

// Kinds of report, a line each.
const (
	reportExit = "exit" // and the code
	reportLeft = "left" // and what is to be done if the process crashes from now on
)

// exit reports that the process ends, with a code that means something. The
// first report counts.
func (l *lifeline) exit(code int) {
	if l != nil {
		l.once.Do(func() { fmt.Fprintln(l.file, reportExit, code) })
	}
}

// left reports what there is to do should the process crash from now on; "" is
// nothing.
func (l *lifeline) left(what string) {
	if l != nil {
		fmt.Fprintln(l.file, reportLeft, strings.ReplaceAll(what, "\n", " "))
	}
}

// wait returns when the parent is gone.
func (l *lifeline) wait() {
	for b := make([]byte, 1); ; {
		if _, err := l.file.Read(b); err != nil {
			return
		}
	}
}
