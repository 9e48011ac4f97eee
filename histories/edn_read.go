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
	w := newWindow(in, r.o.record())
	e := &edn{}
	var (
		buf     []byte
		closing byte // of the vector that the ops are in
	)
	for {
		e.values, e.atEnd, e.nested = false, false, 0
		c, err := e.next(0)
		at, begin := e.i, e.passed
		switch {
		case err != nil || c == 0 || c == closing || closing == 0 && (c == '[' || c == '('):
		default:
			buf, err = e.op(buf[:0], c)
		}
		if !w.end && (c == 0 || err != nil && e.cut(err)) {
			// What follows may be more of it.
			if err := w.more(begin); err != nil {
				return 0, w.atLine(file, begin, err)
			}
			if e.b, e.i = w.b, 0; w.end {
				e.b = bytes.TrimRight(w.b, "\x00")
				if len(e.b) < len(w.b) {
					torn = 1 // what a file system leaves of unsynced pages
				}
			}
			continue
		}
		switch {
		case err == errCut && e.goesOn(at):
			return 0, w.atLine(file, at, fmt.Errorf("%w, and it is not the last one", errCut))
		case err == errCut:
			return 1, nil
		case err != nil:
			return 0, w.atLine(file, e.i, w.inLine(err))
		case c == 0 && closing == 0:
			return torn, nil
		case c == 0:
			return 1, nil // the vector's end is missing
		case c == closing:
			e.i++
			closing = 0
		case closing == 0 && (c == '[' || c == '('):
			e.i++
			if closing = ']'; c == '(' {
				closing = ')'
			}
		default:
			if err = w.fits(e.i - at); err == nil {
				err = r.line(w.lineOf(at), buf)
			}
			if err != nil {
				return 0, w.atLine(file, at, err)
			}
		}
	}
}

// cut tells whether err, which there is at e.i, may be gone if more of the text
// is there.
func (e *edn) cut(err error) bool {
	return err == errCut || e.atEnd || len(bytes.Trim(e.b[min(e.i, len(e.b)):], "\x00")) == 0
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
