package histories

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// InputError is what is wrong with a file that was read.
type InputError struct {
	File  string
	Line  int    // from 1
	Field string // of the record, "" if it is not about one
	Err   error  // what was got and what was expected; perhaps a *Malformed
}

func (e *InputError) Error() string {
	if e.Field != "" {
		return fmt.Sprintf("%s:%d: field %s: %v", e.File, e.Line, e.Field, e.Err)
	}
	return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
}

func (e *InputError) Unwrap() error { return e.Err }

// atLine says in which line of which file err happened.
func atLine(file string, line int, err error) error {
	e := &InputError{File: file, Line: line, Err: err}
	var f *fieldError
	if errors.As(err, &f) {
		e.Field, e.Err = f.field, f.err
	}
	return e
}

// eachLine calls each for every line of r that is not blank, with its number
// from 1. The line is good until each returns. If each returns errCut for the
// last line, that line is torn: the writer was killed, or lost its power, while
// it wrote. Its number is returned then, else 0. Any other error of each ends
// the reading.
func eachLine(r io.Reader, file string, each func(n int, line []byte) error) (cut int, err error) {
	lines := lineReader{r: r, buf: make([]byte, 0, lineBuffer)}
	for n := 1; ; n++ {
		line, err := lines.next()
		if err == io.EOF {
			return cut, nil
		}
		if err != nil {
			return 0, fmt.Errorf("read %s, line %d: %w", file, n, bare(err))
		}
		// A file system may leave NULs where data was not synced.
		damaged := len(line) > 0 && line[len(line)-1] == 0
		if !damaged && skipSpace(line, 0) == len(line) {
			continue
		}
		if cut != 0 {
			return 0, atLine(file, cut, fmt.Errorf("%w, and it is not the last one", errCut))
		}
		if !damaged {
			err = each(n, line)
		}
		switch {
		case damaged || err == errCut:
			cut = n
		case err != nil:
			return 0, atLine(file, n, err)
		}
	}
}

// lineBuffer is the size of a buffer that most lines fit into.
const lineBuffer = 256 << 10

// lineReader splits what it reads into lines of any length.
type lineReader struct {
	r    io.Reader
	buf  []byte
	from int // of the next line in buf
	seen int // there is no line break in buf between from and seen
	end  bool
}

// next returns the next line without its break, or io.EOF. The last line needs
// no break.
func (l *lineReader) next() ([]byte, error) {
	for {
		if k := bytes.IndexByte(l.buf[l.seen:], '\n'); k >= 0 {
			line := l.buf[l.from : l.seen+k]
			l.from = l.seen + k + 1
			l.seen = l.from
			return line, nil
		}
		if l.seen = len(l.buf); l.end {
			line := l.buf[l.from:]
			if l.from = l.seen; len(line) == 0 {
				return nil, io.EOF
			}
			return line, nil
		}
		if err := l.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads more behind what is left of buf, which it moves to its beginning.
func (l *lineReader) fill() error {
	left := l.buf[l.from:]
	if len(left) > cap(l.buf)/2 {
		l.buf = make([]byte, 0, 2*cap(l.buf))
	}
	l.buf = append(l.buf[:0], left...)
	l.from, l.seen = 0, len(l.buf)
	n, err := l.r.Read(l.buf[len(l.buf):cap(l.buf)])
	l.buf = l.buf[:len(l.buf)+n]
	if err == io.EOF {
		l.end, err = true, nil
	}
	return err
}
