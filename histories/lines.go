package histories

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// InputError is what is wrong with a file that was read.
type InputError struct {
	File  string
	Line  int    // from 1
	Field string // of the record, "" if it is not about one
	Err   error  // what was got and what was expected; perhaps a *Malformed
}

func (e *InputError) Error() string {
	const most = 2000 // bytes of what is wrong, which may quote much of the file
	what := e.Err.Error()
	if len(what) > most {
		what = strings.ToValidUTF8(what[:most], "") + "…"
	}
	if e.Field != "" {
		return fmt.Sprintf("%s:%d: field %.80s: %s", e.File, e.Line, e.Field, what)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, what)
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
// the reading, and so does a line of more than max bytes.
func eachLine(r io.Reader, file string, max int, each func(n int, line []byte) error) (cut int, err error) {
	lines := lineReader{r: r, max: max, buf: make([]byte, 0, lineBuffer)}
	for n := 1; ; n++ {
		line, err := lines.next()
		if err == io.EOF {
			return cut, nil
		}
		if err == nil && len(line) > max || err == errLong {
			return 0, atLine(file, n, tooLong("the line", max))
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

// lineBuffer is the size of a buffer that most lines fit into. Tests make it less.
var lineBuffer = 256 << 10

// errLong says that a line has more bytes than it may have.
var errLong = errors.New("the line is too long")

// lineReader splits what it reads into lines. One that is longer than max is
// returned as it is, or is errLong.
type lineReader struct {
	r    io.Reader
	max  int
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
		if l.seen-l.from > l.max {
			return nil, errLong
		}
		if err := l.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads more behind what is left of buf. It moves that to the beginning of
// buf, or of a larger one, only where little room is left behind it: else what a
// reader gives in small pieces would be moved for each of them.
func (l *lineReader) fill() error {
	if left := l.buf[l.from:]; cap(l.buf)-len(l.buf) <= cap(l.buf)/4 || len(left) == 0 {
		if len(left) > cap(l.buf)/2 {
			l.buf = make([]byte, 0, 2*cap(l.buf))
		}
		l.buf = append(l.buf[:0], left...)
		l.from, l.seen = 0, len(l.buf)
	}
	n, err := l.r.Read(l.buf[len(l.buf):cap(l.buf)])
	l.buf = l.buf[:len(l.buf)+n]
	if err == io.EOF {
		l.end, err = true, nil
	}
	return err
}
