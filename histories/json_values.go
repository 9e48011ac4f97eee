package histories

import (
	"bytes"
	"fmt"
	"io"
)

// readValues reads ops that need not each be on one line: those of a JSON
// array, as elle-cli has them, or one after the other, as jq prints them.
func (r *reader) readValues(in io.Reader, file string, array bool) (torn int, err error) {
	b, err := io.ReadAll(in)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", file, bare(err))
	}
	lines := lineCount{b: b}
	at := func(i int, err error) error { return atLine(file, lines.of(i), err) }
	i := skipSpace(b, 0)
	if array {
		i = skipSpace(b, i+1)
	}
	var one []byte // an op, on one line
	for n := 0; ; n++ {
		switch {
		case i >= len(b) && array:
			return 1, nil
		case i >= len(b):
			return 0, nil
		case array && b[i] == ']' && n == 0:
			return 0, r.nothingAfter(b, i+1, at)
		}
		end, err := skipValue(b, i, 0)
		if err == errCut {
			return 1, nil
		}
		if err != nil {
			return 0, at(end, columnOf(b, err))
		}
		one = appendRaw(one[:0], b[i:end])
		if err := r.line(lines.of(i), one); err != nil {
			return 0, at(i, err)
		}
		if i = skipSpace(b, end); !array || i >= len(b) {
			continue
		}
		switch b[i] {
		case ',':
			i = skipSpace(b, i+1)
		case ']':
			return 0, r.nothingAfter(b, i+1, at)
		default:
			return 0, at(i, columnOf(b, wrong(b, i, "a comma or ]")))
		}
	}
}

func (r *reader) nothingAfter(b []byte, i int, at func(int, error) error) error {
	if i = skipSpace(b, i); i < len(b) {
		return at(i, columnOf(b, wrong(b, i, "the end of the file")))
	}
	return nil
}

// columnOf counts the column of a syntax error in b from its line's beginning.
func columnOf(b []byte, err error) error {
	if s, ok := err.(*syntaxError); ok {
		s.at -= bytes.LastIndexByte(b[:s.at], '\n') + 1
	}
	return err
}

// lineCount tells which lines of a text the places in it are in. It is quick
// for places that ascend.
type lineCount struct {
	b    []byte
	at   int // a place that was asked for
	line int // its line, from 0
}

// of is the number, from 1, of the line that b[at] is in.
func (c *lineCount) of(at int) int {
	if at = min(at, len(c.b)); at < c.at {
		c.at, c.line = 0, 0
	}
	c.line += bytes.Count(c.b[c.at:at], []byte("\n"))
	c.at = at
	return c.line + 1
}
