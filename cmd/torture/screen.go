package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/mattn/go-isatty"

	"github.com/torture-harness/torture/report"
)

// A screen is the one way out to a terminal, or to whatever stands in its place.
// Much of what torture prints others have written: nodes, recorders, whoever
// named a file. What would not be printed but obeyed is spelt out, as JSON does,
// so that JSON remains what it was. Line breaks, tabs and the colours of a
// report pass. Safe for concurrent use.
type screen struct {
	mu  sync.Mutex
	w   io.Writer
	cut []byte // the last bytes, if they are only the beginning of a character or a colour
}

// colours are those of a report. They do no more than colour.
var colours = [][]byte{
	[]byte("\x1b[0m"), []byte("\x1b[1m"), []byte("\x1b[2m"), []byte("\x1b[31m"), []byte("\x1b[32m"), []byte("\x1b[33m"),
	[]byte("\x1b[1;31m"), []byte("\x1b[1;32m"), []byte("\x1b[1;33m"),
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := b
	if len(s.cut) > 0 {
		text = append(s.cut, b...)
		s.cut = nil
	}
	if shown(text) {
		if _, err := s.w.Write(text); err != nil {
			return 0, err
		}
		return len(b), nil
	}
	var safe []byte
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		rest := text[i:]
		switch {
		case r == '\x1b':
			k := slices.IndexFunc(colours, func(c []byte) bool { return bytes.HasPrefix(rest, c) })
			if k >= 0 && terminal(s.w) {
				n = len(colours[k])
				safe = append(safe, rest[:n]...)
			} else if len(rest) < len(colours[len(colours)-1]) && slices.ContainsFunc(colours, func(c []byte) bool { return bytes.HasPrefix(c, rest) }) {
				s.cut, n = bytes.Clone(rest), len(rest)
			} else {
				safe = escaped(safe, r)
			}
		case r == utf8.RuneError && n == 1 && !utf8.FullRune(rest):
			s.cut, n = bytes.Clone(rest), len(rest)
		case r == utf8.RuneError && n == 1:
			safe = fmt.Appendf(safe, `\x%02x`, rest[0])
		case r == '\n' || r == '\t' || unicode.IsPrint(r):
			safe = append(safe, rest[:n]...)
		default:
			safe = escaped(safe, r)
		}
		i += n
	}
	if _, err := s.w.Write(safe); err != nil {
		return 0, err
	}
	return len(b), nil
}

// shown tells whether text is nothing but what is printed, in ASCII.
func shown(text []byte) bool {
	for _, c := range text {
		if (c < ' ' || c > '~') && c != '\n' && c != '\t' {
			return false
		}
	}
	return true
}

func escaped(dst []byte, r rune) []byte {
	if high, low := utf16.EncodeRune(r); high != unicode.ReplacementChar {
		return fmt.Appendf(dst, `\u%04x\u%04x`, high, low)
	}
	return fmt.Appendf(dst, `\u%04x`, r)
}

// redraw puts text in place of the line that the terminal shows last.
func redraw(w io.Writer, text string) {
	if s, ok := w.(*screen); ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		w = s.w
	}
	fmt.Fprint(w, "\r\x1b[K"+report.Plain(text, 1000))
}

// remark prints a line to stderr in which there is something from outside.
func (a *app) remark(format string, args ...any) {
	fmt.Fprintln(a.stderr, report.Plain(fmt.Sprintf(format, args...), 4000))
}

// terminal tells whether w is one.
func terminal(w io.Writer) bool {
	if s, ok := w.(*screen); ok {
		w = s.w
	}
	f, ok := w.(interface{ Fd() uintptr })
	return ok && isatty.IsTerminal(f.Fd())
}
