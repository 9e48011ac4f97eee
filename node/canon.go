package node

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// Canon returns the one way to write the JSON value raw: values are equal iff
// these texts are. It is the rule by which hosts, histories and checkers
// compare values.
//
//   - White space, the order of members and the way characters are escaped do
//     not count.
//   - Numbers are exact, of any size: 1, 1.0 and 10e-1 are equal.
//   - An object that has a member twice is an error, as is what is not JSON.
//
// Members are sorted by name, and whole numbers written out unless they end in
// more than twenty zeros. Bytes that are not UTF-8, and halves of surrogate
// pairs, stay what they are. Nothing stays nothing. The result is raw itself
// if that is canonical, and shares no bytes with it otherwise.
func Canon(raw json.RawMessage) (json.RawMessage, error) {
	if len(raw) == 0 || plainValue(raw, 0, 0) == len(raw) {
		return raw, nil
	}
	c := canon{in: raw}
	out, err := c.value(make([]byte, 0, len(raw)), 0)
	if c.next(); err == nil && c.i < len(raw) {
		err = c.wrong("the end of the value")
	}
	if err != nil {
		return nil, err
	}
	if len(c.unsorted) > 0 {
		slices.SortFunc(c.unsorted, func(a, b unsorted) int { return cmp.Compare(a.from, b.from) })
		out = inOrder(make([]byte, 0, len(out)), out, 0, len(out), c.unsorted)
	}
	return out, nil
}

const (
	depthMax    = 10000 // that of encoding/json
	zerosMax    = 20    // that a number is written with before or after its other digits
	exponentMax = 1000  // digits of an exponent, which is calculated with
)

// plainValue returns the index after the value at b[i] if that is as Canon
// would write it, else -1. It may also be -1 for numbers that are not whole.
func plainValue(b []byte, i, depth int) int {
	if i >= len(b) || depth > depthMax {
		return -1
	}
	switch b[i] {
	case '"':
		return plainString(b, i)
	case '[':
		if i++; i < len(b) && b[i] == ']' {
			return i + 1
		}
		for {
			if i = plainValue(b, i, depth+1); i < 0 || i >= len(b) {
				return -1
			}
			switch b[i] {
			case ']':
				return i + 1
			case ',':
				i++
			default:
				return -1
			}
		}
	case '{':
		return plainObject(b, i, depth)
	case 't':
		return plainWord(b, i, "true")
	case 'f':
		return plainWord(b, i, "false")
	case 'n':
		return plainWord(b, i, "null")
	}
	return plainWhole(b, i)
}

func plainWord(b []byte, i int, word string) int {
	if !bytes.HasPrefix(b[i:], []byte(word)) {
		return -1
	}
	return i + len(word)
}

func plainString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c == '\\' || c < ' ':
			return -1
		}
	}
	return -1
}

func plainObject(b []byte, i, depth int) int {
	if i++; i < len(b) && b[i] == '}' {
		return i + 1
	}
	var last []byte
	for {
		if i >= len(b) || b[i] != '"' {
			return -1
		}
		from := i
		if i = plainString(b, i); i < 0 || i >= len(b) || b[i] != ':' {
			return -1
		}
		name := b[from:i]
		if last != nil && compareNames(last, name) >= 0 {
			return -1
		}
		last = name
		if i = plainValue(b, i+1, depth+1); i < 0 || i >= len(b) {
			return -1
		}
		switch b[i] {
		case '}':
			return i + 1
		case ',':
			i++
		default:
			return -1
		}
	}
}

// compareNames compares names in quotes.
func compareNames(a, b []byte) int { return bytes.Compare(a[:len(a)-1], b[:len(b)-1]) }

func plainWhole(b []byte, i int) int {
	minus := b[i] == '-'
	if minus {
		i++
	}
	from, zeros := i, 0
	for ; i < len(b) && '0' <= b[i] && b[i] <= '9'; i++ {
		if zeros++; b[i] != '0' {
			zeros = 0
		}
	}
	switch {
	case i == from || zeros > zerosMax:
		return -1
	case b[from] == '0' && (i > from+1 || minus):
		return -1
	case i < len(b) && (b[i] == '.' || b[i] == 'e' || b[i] == 'E'):
		return -1
	}
	return i
}

// canon writes the value at in[i] anew.
type canon struct {
	in       []byte
	i        int
	unsorted []unsorted
}

func (c *canon) wrong(want string) error {
	if c.i >= len(c.in) {
		return fmt.Errorf("it ends where %s should be", want)
	}
	return fmt.Errorf("byte %d: got %q, want %s", c.i+1, c.in[c.i], want)
}

// next skips white space and returns the byte after it, or 0 at the end.
func (c *canon) next() byte {
	for ; c.i < len(c.in); c.i++ {
		switch b := c.in[c.i]; b {
		case ' ', '\t', '\r', '\n':
		default:
			return b
		}
	}
	return 0
}

// value appends the next value to dst.
func (c *canon) value(dst []byte, depth int) ([]byte, error) {
	if depth > depthMax {
		return dst, c.wrong(fmt.Sprintf("at most %d levels of nesting", depthMax))
	}
	switch b := c.next(); {
	case b == '"':
		return c.str(dst)
	case b == '[':
		return c.array(dst, depth)
	case b == '{':
		return c.object(dst, depth)
	case b == '-' || '0' <= b && b <= '9':
		return c.number(dst)
	}
	for _, word := range []string{"true", "false", "null"} {
		if end := plainWord(c.in, c.i, word); end > 0 {
			c.i = end
			return append(dst, word...), nil
		}
	}
	return dst, c.wrong("a JSON value")
}

// comma goes on in an array or object: more tells whether it has a further
// element.
func (c *canon) comma(n int, closing byte) (more bool, err error) {
	switch b := c.next(); {
	case b == closing:
		c.i++
		return false, nil
	case n == 0:
		return true, nil
	case b == ',':
		c.i++
		return true, nil
	}
	return false, c.wrong("a comma or " + string(closing))
}

func (c *canon) array(dst []byte, depth int) ([]byte, error) {
	c.i++
	dst = append(dst, '[')
	for n := 0; ; n++ {
		more, err := c.comma(n, ']')
		if err != nil || !more {
			return append(dst, ']'), err
		}
		if n > 0 {
			dst = append(dst, ',')
		}
		if dst, err = c.value(dst, depth+1); err != nil {
			return dst, err
		}
	}
}

func (c *canon) object(dst []byte, depth int) ([]byte, error) {
	o, sorted := unsorted{from: len(dst)}, true
	c.i++
	dst = append(dst, '{')
	for {
		more, err := c.comma(len(o.members), '}')
		if err != nil {
			return dst, err
		}
		if !more {
			break
		}
		if c.next() != '"' {
			return dst, c.wrong("a member's name in quotes")
		}
		if len(o.members) > 0 {
			dst = append(dst, ',')
		}
		m := member{from: len(dst)}
		if dst, err = c.str(dst); err != nil {
			return dst, err
		}
		m.name = len(dst)
		if c.next() != ':' {
			return dst, c.wrong("a colon")
		}
		c.i++
		if dst, err = c.value(append(dst, ':'), depth+1); err != nil {
			return dst, err
		}
		m.to = len(dst)
		if n := len(o.members); n > 0 {
			before := o.members[n-1]
			sorted = sorted && compareNames(dst[before.from:before.name], dst[m.from:m.name]) < 0
		}
		o.members = append(o.members, m)
	}
	dst = append(dst, '}')
	if sorted {
		return dst, nil
	}
	o.to = len(dst)
	slices.SortFunc(o.members, func(a, b member) int { return compareNames(dst[a.from:a.name], dst[b.from:b.name]) })
	for i, m := range o.members[1:] {
		if before := o.members[i]; compareNames(dst[before.from:before.name], dst[m.from:m.name]) == 0 {
			return dst, fmt.Errorf("member %.80s appears twice", dst[m.from:m.name])
		}
	}
	c.unsorted = append(c.unsorted, o)
	return dst, nil
}

// unsorted is an object that was written with its members as they came. It is
// put in order when all else is written: were each at once, what lies deep would
// be moved once for every object around it.
type unsorted struct {
	from, to int
	members  []member // in order
}

// member is where one is written: its name up to name.
type member struct{ from, name, to int }

// inOrder appends text[from:to] with the objects in it put in order, which are
// among all, by where they begin.
func inOrder(dst, text []byte, from, to int, all []unsorted) []byte {
	for from < to {
		k, _ := slices.BinarySearchFunc(all, from, func(o unsorted, at int) int { return cmp.Compare(o.from, at) })
		if all = all[k:]; len(all) == 0 || all[0].from >= to {
			break
		}
		o := all[0]
		dst = append(append(dst, text[from:o.from]...), '{')
		for i, m := range o.members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = inOrder(dst, text, m.from, m.to, all[1:])
		}
		dst, from = append(dst, '}'), o.to
	}
	return append(dst, text[min(from, to):to]...)
}

// str appends a string. Escaped is only what must be.
func (c *canon) str(dst []byte) ([]byte, error) {
	dst = append(dst, '"')
	for c.i++; c.i < len(c.in); c.i++ {
		switch b := c.in[c.i]; {
		case b == '"':
			c.i++
			return append(dst, '"'), nil
		case b < ' ':
			return dst, c.wrong("control characters to be escaped")
		case b != '\\':
			dst = append(dst, b)
			continue
		}
		c.i++
		r, err := c.escape()
		if err != nil {
			return dst, err
		}
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r < ' ' || utf16.IsSurrogate(r):
			dst = fmt.Appendf(dst, `\u%04x`, r)
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst, c.wrong("the end of the string")
}

// escape reads what stands behind a backslash, up to its last byte.
func (c *canon) escape() (rune, error) {
	const want = `one of "\/bfnrtu`
	if c.i >= len(c.in) {
		return 0, c.wrong(want)
	}
	switch b := c.in[c.i]; b {
	case '"', '\\', '/':
		return rune(b), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
	default:
		return 0, c.wrong(want)
	}
	r, ok := hex4(c.in[c.i+1:])
	if !ok {
		return 0, c.wrong("four hexadecimal digits behind it")
	}
	c.i += 4
	if rest := c.in[c.i+1:]; utf16.IsSurrogate(r) && bytes.HasPrefix(rest, []byte(`\u`)) {
		if low, ok := hex4(rest[2:]); ok {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				c.i += 6
				return pair, nil
			}
		}
	}
	return r, nil
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// number appends a number: its digits without zeros at either end, and where
// the point is.
func (c *canon) number(dst []byte) ([]byte, error) {
	minus := c.in[c.i] == '-'
	if minus {
		c.i++
	}
	whole := c.digits()
	if len(whole) == 0 || whole[0] == '0' && len(whole) > 1 {
		c.i -= len(whole)
		return dst, c.wrong("a number without zeros before it")
	}
	var fraction, exponent []byte
	if c.i < len(c.in) && c.in[c.i] == '.' {
		c.i++
		if fraction = c.digits(); len(fraction) == 0 {
			return dst, c.wrong("a digit")
		}
	}
	if c.i < len(c.in) && c.in[c.i]|0x20 == 'e' {
		from := c.i + 1
		if c.i = from; c.i < len(c.in) && (c.in[c.i] == '+' || c.in[c.i] == '-') {
			c.i++
		}
		switch n := len(c.digits()); {
		case n == 0:
			return dst, c.wrong("a digit")
		case n > exponentMax:
			c.i -= n
			return dst, c.wrong(fmt.Sprintf("an exponent of at most %d digits", exponentMax))
		}
		exponent = c.in[from:c.i]
	}
	digits := bytes.TrimLeft(slices.Concat(whole, fraction), "0")
	point := new(big.Int) // digits after the first that are before the point
	if len(exponent) > 0 {
		point.SetString(string(exponent), 10)
	}
	point.Add(point, big.NewInt(int64(len(digits)-len(fraction))))
	digits = bytes.TrimRight(digits, "0")
	if len(digits) == 0 {
		return append(dst, '0'), nil
	}
	if minus {
		dst = append(dst, '-')
	}
	return appendDecimal(dst, digits, point), nil
}

func (c *canon) digits() []byte {
	from := c.i
	for c.i < len(c.in) && '0' <= c.in[c.i] && c.in[c.i] <= '9' {
		c.i++
	}
	return c.in[from:c.i]
}

// appendDecimal appends 0.digits × 10^point.
func appendDecimal(dst, digits []byte, point *big.Int) []byte {
	n := len(digits)
	if !point.IsInt64() || point.Int64() > int64(n+zerosMax) || point.Int64() < -zerosMax {
		dst = append(dst, digits[0])
		if n > 1 {
			dst = append(append(dst, '.'), digits[1:]...)
		}
		return new(big.Int).Sub(point, big.NewInt(1)).Append(append(dst, 'e'), 10)
	}
	switch p := int(point.Int64()); {
	case p <= 0:
		dst = append(dst, "0."...)
		return append(append(dst, bytes.Repeat([]byte("0"), -p)...), digits...)
	case p < n:
		dst = append(append(dst, digits[:p]...), '.')
		return append(dst, digits[p:]...)
	default:
		return append(append(dst, digits...), bytes.Repeat([]byte("0"), p-n)...)
	}
}
