package histories

import (
	"bytes"
	"fmt"
	"io"
)

// A window is the part of a text that is being looked at: it begins at a record
// and holds at least that, up to the limit.
type window struct {
	r   io.Reader
	max int // bytes of a record
	b   []byte
	end bool // nothing follows b

	lines  int // before b
	column int // bytes of b's first line that were before b
	at     int // a place in b that was asked for
	line   int // its line in b, from 0
}

func newWindow(r io.Reader, max int) *window {
	return &window{r: r, max: max, b: make([]byte, 0, lineBuffer)}
}

// more drops what is before b[from], and reads more behind the rest. The window
// grows with what it cannot drop, so that to look at a record again from its
// beginning takes no more than time in proportion to it.
func (w *window) more(from int) error {
	left := w.b[from:]
	if err := w.fits(len(left)); err != nil {
		return err
	}
	w.lines, w.at, w.line = w.lineOf(from)-1, 0, 0
	if k := bytes.LastIndexByte(w.b[:from], '\n'); k >= 0 {
		w.column = from - k - 1
	} else {
		w.column += from
	}
	if len(left) > cap(w.b)/2 {
		w.b = make([]byte, 0, 2*cap(w.b))
	}
	w.b = append(w.b[:0], left...)
	n, err := io.ReadFull(w.r, w.b[len(w.b):cap(w.b)])
	w.b = w.b[:len(w.b)+n]
	switch err {
	case nil:
	case io.EOF, io.ErrUnexpectedEOF:
		w.end = true
	default:
		return readError{err}
	}
	return nil
}

// fits is an error if a record of n bytes is too long.
func (w *window) fits(n int) error {
	if n > w.max {
		return tooLong("the record, or what there is where its end is missing,", w.max)
	}
	return nil
}

// lineOf is the number, from 1, of the line that b[at] is in. It is quick for
// places that ascend.
func (w *window) lineOf(at int) int {
	if at = min(at, len(w.b)); at < w.at {
		w.at, w.line = 0, 0
	}
	w.line += bytes.Count(w.b[w.at:at], []byte("\n"))
	w.at = at
	return w.lines + w.line + 1
}

// inLine counts the column of a syntax error in b from its line's beginning.
func (w *window) inLine(err error) error {
	if s, ok := err.(*syntaxError); ok {
		if k := bytes.LastIndexByte(w.b[:s.at], '\n'); k >= 0 {
			s.at -= k + 1
		} else {
			s.at += w.column
		}
	}
	return err
}

// readError is an error of reading, which is about a file and not about what is
// in one of its lines.
type readError struct{ error }

// atLine says in which line of the file b[i] is, where err happened.
func (w *window) atLine(file string, i int, err error) error {
	if r, ok := err.(readError); ok {
		return fmt.Errorf("read %s: %w", file, bare(r.error))
	}
	return atLine(file, w.lineOf(i), err)
}
