package node

import (
	"fmt"
	"path"
	"path/filepath"
	"runtime"
	"strings"
)

// Panic is how a node died of itself, as worlds record it.
type Panic struct {
	Error string `json:"error"`
	// Stack are the functions that the panic went through, the innermost first,
	// without the world's own: name, file and line. There are no addresses in
	// it, which would differ from run to run.
	Stack []string `json:"stack"`
}

// Protect runs what a node does in a step, for worlds, and returns the panic
// that it ended in, or nil.
func Protect(handle func()) (p *Panic) {
	defer func() {
		if v := recover(); v != nil {
			p = &Panic{fmt.Sprint(v), stack()}
		}
	}()
	handle()
	return nil
}

const stackMax = 32

func stack() (lines []string) {
	pcs := make([]uintptr, 2*stackMax)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for len(lines) < stackMax {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, "node.Protect") {
			break
		}
		if f.Function != "" && !strings.HasPrefix(f.Function, "runtime.") {
			lines = append(lines, frame(f))
		}
		if !more {
			break
		}
	}
	if n := len(lines); n > 1 {
		return lines[:n-1] // the last is handle itself
	}
	return lines
}

// frame is a function by its short name, and its file by the import path, which
// is the same wherever the program was built:
// total.(*member).order (targets/total/node.go:180).
func frame(f runtime.Frame) string {
	const module = "github.com/torture-harness/torture/"
	short := path.Base(f.Function)
	pkg, _, _ := strings.Cut(short, ".")
	dir := path.Join(path.Dir(f.Function), pkg)
	return fmt.Sprintf("%s (%s/%s:%d)", short, strings.TrimPrefix(dir, module), filepath.Base(f.File), f.Line)
}
