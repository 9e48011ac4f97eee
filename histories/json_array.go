package histories

import (
	"bytes"
	"fmt"
	"io"
)

// readArray reads the ops of a JSON array, as elle-cli has them.
func (r *reader) readArray(in io.Reader, file string) (torn int, err error) {
	b, err := io.ReadAll(in)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", file, bare(err))
	}
	at := func(i int, err error) error { return atLine(file, bytes.Count(b[:i], []byte("\n"))+1, err) }
	var one []byte // an op, on one line
	i := skipSpace(b, skipSpace(b, 0)+1)
	if i < len(b) && b[i] == ']' {
		i++
	} else {
		for more := true; more; {
			end, err := skipValue(b, i, 0)
			if err == errCut {
				return 1, nil
			}
			if err != nil {
				return 0, at(end, columnOf(b, err))
			}
			one = appendRaw(one[:0], b[i:end])
			if err := r.line(0, one); err != nil {
				return 0, at(i, err)
			}
			switch i = skipSpace(b, end); {
			case i >= len(b):
				return 1, nil
			case b[i] == ',':
				i = skipSpace(b, i+1)
			case b[i] == ']':
				i, more = i+1, false
			default:
				return 0, at(i, columnOf(b, wrong(b, i, "a comma or ]")))
			}
		}
	}
	if i = skipSpace(b, i); i < len(b) {
		return 0, at(i, columnOf(b, wrong(b, i, "the end of the file")))
	}
	return 0, nil
}

// columnOf counts the column of a syntax error in b from its line's beginning.
func columnOf(b []byte, err error) error {
	if s, ok := err.(*syntaxError); ok {
		s.at -= bytes.LastIndexByte(b[:s.at], '\n') + 1
	}
	return err
}
