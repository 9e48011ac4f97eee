package histories

import (
	"bytes"
	"fmt"
	"io"
)

// readEDN reads the ops of an EDN file: maps, one after the other or all in
// one vector or list, tagged or not. Each becomes a record in JSON, and is
// taken as that.
func (r *reader) readEDN(in io.Reader, file string) (torn int, err error) {
	text, err := io.ReadAll(in)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", file, bare(err))
	}
	e := &edn{b: bytes.TrimRight(text, "\x00")}
	lines := lineCount{b: e.b}
	if len(e.b) < len(text) {
		torn = 1 // what a file system leaves of unsynced pages
	}
	var (
		buf     []byte
		closing byte // of the vector that the ops are in
	)
	for {
		c, err := e.next(0)
		at := e.i
		switch {
		case err != nil:
		case c == 0 && closing == 0:
			return torn, nil
		case c == 0:
			return 1, nil // the vector's end is missing
		case c == closing:
			e.i++
			closing = 0
			continue
		case closing == 0 && (c == '[' || c == '('):
			e.i++
			if closing = ']'; c == '(' {
				closing = ')'
			}
			continue
		default:
			buf, err = e.op(buf[:0], c)
		}
		if err == errCut {
			if e.goesOn(at) {
				return 0, atLine(file, e.line(at), fmt.Errorf("%w, and it is not the last one", errCut))
			}
			return 1, nil
		}
		if err != nil {
			return 0, atLine(file, e.line(e.i), err)
		}
		if err := r.line(lines.of(at), buf); err != nil {
			return 0, atLine(file, lines.of(at), err)
		}
	}
}

// op appends the op at e.i, which begins with c, as JSON. Of which kind of
// record it is, a tag may say; that is known here.
func (e *edn) op(dst []byte, c byte) ([]byte, error) {
	for c == '#' {
		at := e.i
		e.i++
		if tag := e.token(); !symbol(tag) {
			e.i = at
			return dst, e.wrong("an op: {…}")
		}
		var err error
		if c, err = e.next(0); err != nil {
			return dst, err
		}
	}
	if c != '{' {
		return dst, e.wrong("an op: {…}")
	}
	return e.object(dst, "", 0)
}

// goesOn tells whether anything that looks like an op begins on a line after
// that of b[at]. If so, what begins at b[at] is not closed because the file is
// damaged, and not because it ends there.
func (e *edn) goesOn(at int) bool {
	for rest := e.b[at:]; ; {
		k := bytes.IndexByte(rest, '\n')
		if k < 0 {
			return false
		}
		rest = bytes.TrimLeft(rest[k+1:], " \t,\r")
		if len(rest) > 0 && (rest[0] == '{' || rest[0] == '#') {
			return true
		}
	}
}
