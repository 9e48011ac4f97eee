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

// lineMax is the size of the buffer that a line fits into, usually.
const lineMax = 256 << 10

// eachLine calls each for every line of r that is not blank, with its number
// from 1. The line is good until each returns. If each returns errCut for the
// last line, that line is torn: the writer was killed, or lost its power, while
// it wrote. Its number is returned then, else 0. Any other error of each ends
// the reading.
func eachLine(r io.Reader, file string, each func(n int, line []byte) error) (cut int, err error) {
	var (
		buf  = make([]byte, 0, lineMax)
		from = 0 // of the line in buf
		seen = 0 // bytes of buf in which there is no line break from there on
		n    = 0
	)
	line := func(b []byte) error {
		n++
		whole := bytes.TrimRight(b, "\x00") // what a file system leaves of unsynced pages
		if skipSpace(whole, 0) == len(whole) && len(whole) == len(b) {
			return nil
		}
		if cut != 0 {
			return atLine(file, cut, fmt.Errorf("%w, and it is not the last one", errCut))
		}
		err := errCut
		if len(whole) == len(b) {
			err = each(n, b)
		}
		if err == errCut {
			cut, err = n, nil
		}
		if err != nil {
			return atLine(file, n, err)
		}
		return nil
	}
	for {
		for {
			k := bytes.IndexByte(buf[seen:], '\n')
			if k < 0 {
				break
			}
			if err := line(buf[from : seen+k]); err != nil {
				return 0, err
			}
			from = seen + k + 1
			seen = from
		}
		buf, from = makeRoom(buf, from), 0
		seen = len(buf)
		got, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+got]
		if err == io.EOF {
			if k := bytes.IndexByte(buf[seen:], '\n'); k >= 0 {
				continue // io.EOF comes again
			}
			break
		}
		if err != nil {
			return 0, fmt.Errorf("read %s, after line %d: %w", file, n, err)
		}
	}
	if err := line(buf); err != nil {
		return 0, err
	}
	return cut, nil
}

// makeRoom moves what is left of buf, from from on, to its beginning, and sees
// to it that more can be read behind it.
func makeRoom(buf []byte, from int) []byte {
	left := buf[from:]
	if len(left) > cap(buf)/2 {
		buf = make([]byte, 0, 2*cap(buf))
	}
	return append(buf[:0], left...)
}
