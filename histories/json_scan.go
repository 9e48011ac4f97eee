package histories

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// This file finds the ends of JSON values (RFC 8259) without decoding them.
// The functions take a text and the index of a value's first byte, and return
// the index after its last.

// errCut says that a text ended before the value did.
var errCut = errors.New("the record is cut off")

// depthMax bounds nesting; it is that of encoding/json.
const depthMax = 10000

// syntaxError is a byte that cannot stand where it stands.
type syntaxError struct {
	at   int
	got  byte
	want string
}

func (e *syntaxError) Error() string {
	return fmt.Sprintf("column %d: got %q, want %s", e.at+1, e.got, e.want)
}

func wrong(b []byte, i int, want string) error {
	if i >= len(b) {
		return errCut
	}
	return &syntaxError{i, b[i], want}
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

func skipValue(b []byte, i, depth int) (int, error) {
	if i >= len(b) {
		return i, errCut
	}
	switch c := b[i]; c {
	case '"':
		return skipString(b, i)
	case '{':
		return skipObject(b, i, depth)
	case '[':
		return skipArray(b, i, depth)
	case 't':
		return skipWord(b, i, "true")
	case 'f':
		return skipWord(b, i, "false")
	case 'n':
		return skipWord(b, i, "null")
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return skipNumber(b, i)
	}
	return i, wrong(b, i, "a JSON value")
}

func skipWord(b []byte, i int, word string) (int, error) {
	for k := range len(word) {
		if i+k >= len(b) {
			return i, errCut
		}
		if b[i+k] != word[k] {
			return i, wrong(b, i+k, word)
		}
	}
	return i + len(word), nil
}

func skipNumber(b []byte, i int) (int, error) {
	if b[i] == '-' {
		i++
	}
	switch {
	case i < len(b) && b[i] == '0':
		i++
	case i < len(b) && '1' <= b[i] && b[i] <= '9':
		i = skipDigits(b, i)
	default:
		return i, wrong(b, i, "a digit")
	}
	if i < len(b) && b[i] == '.' {
		from := i + 1
		if i = skipDigits(b, from); i == from {
			return i, wrong(b, i, "a digit")
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		from := i
		if i = skipDigits(b, from); i == from {
			return i, wrong(b, i, "a digit")
		}
	}
	return i, nil
}

func skipDigits(b []byte, i int) int {
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		i++
	}
	return i
}

func skipString(b []byte, i int) (int, error) {
	for i++; i < len(b); i++ {
		c := b[i]
		if !special[c] {
			continue
		}
		if c == '"' {
			return i + 1, nil
		}
		if c != '\\' {
			return i, wrong(b, i, "control characters to be escaped")
		}
		var err error
		if i, err = skipEscape(b, i+1); err != nil {
			return i, err
		}
	}
	return i, errCut
}

// special are the bytes that do not stand for themselves in a string.
var special = func() (t [256]bool) {
	for c := range 0x20 {
		t[c] = true
	}
	t['"'], t['\\'] = true, true
	return t
}()

// skipEscape returns the index of the last byte of the escape sequence whose
// backslash stands before b[i].
func skipEscape(b []byte, i int) (int, error) {
	if i >= len(b) {
		return i, errCut
	}
	switch b[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i, nil
	case 'u':
		for k := i + 1; k <= i+4; k++ {
			if k >= len(b) {
				return k, errCut
			}
			if c := b[k] | 0x20; (b[k] < '0' || b[k] > '9') && (c < 'a' || c > 'f') {
				return k, wrong(b, k, "a hexadecimal digit")
			}
		}
		return i + 4, nil
	}
	return i, wrong(b, i, `one of "\/bfnrtu`)
}

func skipArray(b []byte, i, depth int) (int, error) {
	if depth >= depthMax {
		return i, wrong(b, i, fmt.Sprintf("at most %d levels of nesting", depthMax))
	}
	if i = skipSpace(b, i+1); i < len(b) && b[i] == ']' {
		return i + 1, nil
	}
	for {
		var err error
		if i, err = skipValue(b, i, depth+1); err != nil {
			return i, err
		}
		if i < len(b) && b[i] == ',' {
			i = skipSpace(b, i+1)
			continue
		}
		switch i = skipSpace(b, i); {
		case i < len(b) && b[i] == ',':
			i = skipSpace(b, i+1)
		case i < len(b) && b[i] == ']':
			return i + 1, nil
		default:
			return i, wrong(b, i, "a comma or ]")
		}
	}
}

func skipObject(b []byte, i, depth int) (int, error) {
	if depth >= depthMax {
		return i, wrong(b, i, fmt.Sprintf("at most %d levels of nesting", depthMax))
	}
	more := true
	for i, more = skipBrace(b, i); more; {
		_, from, err := skipName(b, i)
		if err != nil {
			return from, err
		}
		if i, err = skipValue(b, from, depth+1); err != nil {
			return i, err
		}
		if i, more, err = skipComma(b, i); err != nil {
			return i, err
		}
	}
	return i, nil
}

// skipBrace enters the object at b[i]. more tells whether it may have members;
// else i is after it.
func skipBrace(b []byte, i int) (after int, more bool) {
	if i = skipSpace(b, i+1); i < len(b) && b[i] == '}' {
		return i + 1, false
	}
	return i, true
}

// skipName skips a member's name and colon: the name's closing quote stands
// before nameEnd, the value at value.
func skipName(b []byte, i int) (nameEnd, value int, err error) {
	if i >= len(b) || b[i] != '"' {
		return i, i, wrong(b, i, "a field's name in quotes")
	}
	if nameEnd, err = skipString(b, i); err != nil {
		return nameEnd, nameEnd, err
	}
	i = nameEnd
	if i >= len(b) || b[i] != ':' {
		if i = skipSpace(b, i); i >= len(b) || b[i] != ':' {
			return i, i, wrong(b, i, "a colon")
		}
	}
	return nameEnd, skipSpace(b, i+1), nil
}

// skipComma goes from the end of a member to the next, or out of the object.
func skipComma(b []byte, i int) (after int, more bool, err error) {
	i = skipSpace(b, i)
	switch {
	case i < len(b) && b[i] == ',':
		return skipSpace(b, i+1), true, nil
	case i < len(b) && b[i] == '}':
		return i + 1, false, nil
	}
	return i, false, wrong(b, i, "a comma or }")
}

// validJSON tells whether raw is one JSON value and nothing else.
func validJSON(raw []byte) bool {
	i, err := skipValue(raw, skipSpace(raw, 0), 0)
	return err == nil && skipSpace(raw, i) == len(raw)
}

// unquote decodes a JSON string that skipString has accepted. The result may
// share its bytes. As in encoding/json, what is not UTF-8 becomes U+FFFD.
func unquote(quoted []byte) []byte {
	inner := quoted[1 : len(quoted)-1]
	plain := true
	for _, c := range inner {
		plain = plain && c != '\\' && c < utf8.RuneSelf
	}
	if plain {
		return inner
	}
	var s string
	if err := json.Unmarshal(quoted, &s); err != nil {
		panic(fmt.Sprintf("decode the string %s: %v", quoted, err))
	}
	return []byte(s)
}
