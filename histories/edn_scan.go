package histories

import (
	"bytes"
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/torture-harness/torture/node"
)

// This file turns EDN (github.com/edn-format/edn) into JSON, form by form and
// without building trees, so that numbers keep all their digits, maps their
// order, and errors have a line.
//
//	nil true false         null true false
//	"s" :k :ns/k sym \c    "s" ":k" ":ns/k" "sym" "c"
//	42 42N 0x2a            42
//	1.5 1.5M 1e9           1.5 1.5 1e9
//	1/3 ##Inf              "1/3" "##Inf"
//	[a b] (a b)            [a,b]
//	#{b a}                 [a,b]: a set has no order, so the shortest come first; twice is malformed
//	{:k v, "s" v}          {":k":v,"s":v}
//	{1 v, [1 2] v}         {"1":v,"[1 2]":v}: any other key is its text, as it stands
//	#:ns{:k v}             {":ns/k":v}
//	#inst "…" #uuid "…"    "…"
//	#tag v                 {"#tag":v}, but for tuples and map entries, which are their vector
//
// The colon keeps keywords and strings apart, in values and keys of ops. A
// string that looks like a keyword, ":k", has one colon more. Fields, and what
// else an op has, are words of the harness: there :k is "k". So is the first
// element of a list in a list, where it names a micro-operation: [[:r :x nil]]
// is [["r",":x",null]].
//
// Comments and what #_ discards are left out.

// edn is a text being read.
type edn struct {
	b      []byte
	i      int
	values bool // it is in the value or the key of an op
	atEnd  bool // something reaches to the end of b, and might go on behind it
	passed int  // behind what the last call of next at depth 0 has done with
	nested int  // sets, and keys that are no keywords, around b[i]
}

func (e *edn) wrong(want string) error { return wrong(e.b, e.i, want) }

// next skips what means nothing, and returns the first byte of the next form,
// or 0 at the end of the text.
func (e *edn) next(depth int) (byte, error) {
	for {
		if depth == 0 && !e.atEnd {
			e.passed = e.i
		}
		if e.i >= len(e.b) {
			return 0, nil
		}
		switch c := e.b[e.i]; {
		case c == ' ' || c == '\n' || c == ',' || c == '\t' || c == '\r' || c == '\f':
			e.i++
		case c == ';':
			if k := bytes.IndexByte(e.b[e.i:], '\n'); k >= 0 {
				e.i += k
			} else {
				e.i, e.atEnd = len(e.b), true
			}
		case c == '#' && e.i+1 < len(e.b) && e.b[e.i+1] == '_':
			at := e.i
			e.i += 2
			if _, err := e.form(nil, depth+1); err != nil {
				if err == errCut {
					e.i = at // what is cut off begins here
				}
				return 0, err
			}
		case c == 0:
			return 0, e.wrong("a form")
		default:
			return c, nil
		}
	}
}

// form appends the next form, as JSON, to dst.
func (e *edn) form(dst []byte, depth int) ([]byte, error) {
	if depth > depthMax {
		return dst, e.wrong(fmt.Sprintf("at most %d levels of nesting", depthMax))
	}
	c, err := e.next(depth)
	if err != nil {
		return dst, err
	}
	switch c {
	case 0:
		return dst, errCut
	case '"':
		s, err := e.str()
		if e.values && likeKeyword(s) {
			s = ":" + s
		}
		return appendString(dst, s), err
	case '\\':
		s, err := e.char()
		return appendString(dst, s), err
	case ':':
		k, err := e.keyword()
		return e.appendKeyword(dst, k), err
	case '[':
		return e.seq(dst, ']', depth)
	case '(':
		return e.seq(dst, ')', depth)
	case '{':
		return e.object(dst, "", depth)
	case '#':
		return e.dispatch(dst, depth)
	case ')', ']', '}', '^', '@', '`', '~', '\'':
		return dst, e.wrong("a form")
	}
	return e.atom(dst)
}

func (e *edn) seq(dst []byte, closing byte, depth int) ([]byte, error) {
	dst = append(dst, '[')
	e.i++
	for n := 0; ; n++ {
		c, err := e.next(depth)
		if err != nil {
			return dst, err
		}
		if c == closing {
			e.i++
			return append(dst, ']'), nil
		}
		if n > 0 {
			dst = append(dst, ',')
		}
		if n == 0 && c == ':' && depth >= listInList {
			k, err := e.keyword()
			if err != nil {
				return dst, err
			}
			if microOps[k] {
				dst = appendString(dst, k)
			} else {
				dst = e.appendKeyword(dst, k)
			}
			continue
		}
		if dst, err = e.form(dst, depth+1); err != nil {
			return dst, err
		}
	}
}

// listInList is the depth of the lists in a list that is an op's value.
const listInList = 2

// microOps are the names of operations in transactions.
var microOps = map[string]bool{"append": true, "r": true, "w": true, "read": true, "write": true}

// set reads a set, whose elements are different.
func (e *edn) set(dst []byte, depth int) ([]byte, error) {
	var elements [][]byte
	if err := e.nest(); err != nil {
		return dst, err
	}
	defer e.unnest()
	e.i++
	for {
		c, err := e.next(depth)
		if err != nil {
			return dst, err
		}
		if c == '}' {
			break
		}
		raw, err := e.form(nil, depth+1)
		if err != nil {
			return dst, err
		}
		if raw, err = node.Canon(raw); err != nil {
			return dst, err
		}
		elements = append(elements, raw)
	}
	slices.SortFunc(elements, func(a, b []byte) int { return cmp.Or(cmp.Compare(len(a), len(b)), bytes.Compare(a, b)) })
	dst = append(dst, '[')
	for i, raw := range elements {
		if i > 0 {
			if bytes.Equal(raw, elements[i-1]) {
				return dst, fmt.Errorf("a set has %.80s twice", raw)
			}
			dst = append(dst, ',')
		}
		dst = append(dst, raw...)
	}
	e.i++
	return append(dst, ']'), nil
}

// object reads a map. Its keys that are keywords without a namespace are in
// the namespace ns, if that is not empty.
func (e *edn) object(dst []byte, ns string, depth int) ([]byte, error) {
	dst = append(dst, '{')
	e.i++
	for n := 0; ; n++ {
		c, err := e.next(depth)
		if err != nil {
			return dst, err
		}
		if c == '}' {
			e.i++
			return append(dst, '}'), nil
		}
		if n > 0 {
			dst = append(dst, ',')
		}
		from := len(dst)
		if dst, err = e.key(dst, c, ns, depth); err != nil {
			return dst, err
		}
		if depth == 0 { // the op itself
			field := string(dst[from:])
			e.values = field == `"value"` || field == `"key"`
		}
		dst = append(dst, ':')
		if c, err = e.next(depth); err == nil && c == '}' {
			err = e.wrong("the value of the last key")
		}
		if err != nil {
			return dst, err
		}
		if dst, err = e.form(dst, depth+1); err != nil {
			return dst, err
		}
		e.values = e.values && depth > 0
	}
}

func (e *edn) key(dst []byte, c byte, ns string, depth int) ([]byte, error) {
	if c == ':' {
		k, err := e.keyword()
		if ns != "" && bytes.IndexByte([]byte(k), '/') < 0 {
			k = ns + "/" + k
		}
		return e.appendKeyword(dst, k), err
	}
	if err := e.nest(); err != nil {
		return dst, err
	}
	defer e.unnest()
	from, at := len(dst), e.i
	dst, err := e.form(dst, depth+1)
	if err != nil || dst[from] == '"' {
		return dst, err
	}
	// Not its JSON: quoted once more for each map that is a key of a map, it
	// would double in size each time.
	return appendString(dst[:from], string(e.b[at:e.i])), nil
}

// nestMax bounds how many sets, and maps' keys that are no keywords, may be
// around a form: each of them has it written once more.
const nestMax = 32

func (e *edn) nest() error {
	if e.nested++; e.nested > nestMax {
		return e.wrong(fmt.Sprintf("at most %d levels of sets, and of keys that are no keywords", nestMax))
	}
	return nil
}

func (e *edn) unnest() { e.nested-- }

// dispatch reads what begins with #, but for what is discarded.
func (e *edn) dispatch(dst []byte, depth int) ([]byte, error) {
	e.i++
	if e.i >= len(e.b) {
		return dst, errCut
	}
	switch e.b[e.i] {
	case '{':
		return e.set(dst, depth)
	case '#':
		e.i++
		return appendString(dst, "##"+e.token()), nil
	case ':':
		ns, err := e.keyword()
		if err != nil {
			return dst, err
		}
		if c, err := e.next(depth); err != nil {
			return dst, err
		} else if c != '{' {
			return dst, e.wrong(fmt.Sprintf("a map of the namespace %.80s", ns))
		}
		return e.object(dst, ns, depth)
	}
	at := e.i
	tag := e.token()
	if !symbol(tag) {
		e.i = at
		return dst, e.wrong("a tag, a set or a discarded form after #")
	}
	if untagged[tag] {
		return e.form(dst, depth+1)
	}
	dst = append(appendString(append(dst, '{'), "#"+tag), ':')
	dst, err := e.form(dst, depth+1)
	return append(dst, '}'), err
}

// untagged are tags that add nothing to their form.
var untagged = map[string]bool{
	"inst": true, "uuid": true, "jepsen.history.Op": true, "jepsen.independent.tuple": true, "jepsen.independent.Tuple": true,
	"jepsen.independent/tuple": true, "clojure.lang.MapEntry": true,
}

func (e *edn) keyword() (string, error) {
	e.i++
	at := e.i
	k := e.token()
	if k == "" {
		return "", e.wrong("the name of a keyword")
	}
	if k[0] == ':' {
		e.i = at
		return "", e.wrong("a keyword with one colon")
	}
	return k, nil
}

func (e *edn) appendKeyword(dst []byte, k string) []byte {
	if e.values {
		k = ":" + k
	}
	return appendString(dst, k)
}

// likeKeyword tells whether s looks like a keyword, behind any number of
// colons.
func likeKeyword(s string) bool {
	name := strings.TrimLeft(s, ":")
	if name == "" || len(name) == len(s) {
		return false
	}
	e := edn{b: []byte(name)}
	return len(e.token()) == len(name)
}

// token takes what there is up to white space or a bracket.
func (e *edn) token() string {
	from := e.i
	for e.i < len(e.b) {
		switch e.b[e.i] {
		case ' ', '\n', ',', '\t', '\r', '\f', '(', ')', '[', ']', '{', '}', '"', ';', '\\', 0:
			return string(e.b[from:e.i])
		}
		e.i++
	}
	e.atEnd = true
	return string(e.b[from:e.i])
}

// symbol tells whether s can stand for something. It is lenient: Jepsen prints
// names of Java classes.
func symbol(s string) bool {
	return s != "" && (s[0] < '0' || s[0] > '9') && s[0] != '#' && s[0] != ':'
}

// atom reads a number or a symbol.
func (e *edn) atom(dst []byte) ([]byte, error) {
	at := e.i
	t := e.token()
	if t == "" {
		return dst, e.wrong("a form")
	}
	switch t {
	case "nil":
		return append(dst, "null"...), nil
	case "true", "false":
		return append(dst, t...), nil
	}
	digits := t
	if t[0] == '-' || t[0] == '+' {
		digits = t[1:]
	}
	if digits == "" || digits[0] < '0' || digits[0] > '9' {
		return appendString(dst, t), nil
	}
	n, ok := appendNumber(dst, t)
	if !ok {
		e.i = at
		return dst, e.wrong(fmt.Sprintf("a number that EDN has, not %.80s", t))
	}
	return n, nil
}

// appendNumber appends the number t as JSON has it.
func appendNumber(dst []byte, t string) ([]byte, bool) {
	if t[0] == '+' {
		t = t[1:]
	}
	if len(t) > 2 && (t[:2] == "0x" || t[:2] == "0X") || len(t) > 3 && (t[:3] == "-0x" || t[:3] == "-0X") {
		n, ok := new(big.Int).SetString(t[:min(len(t), hexMax)], 0)
		if !ok || len(t) > hexMax {
			return dst, false
		}
		return n.Append(dst, 10), true
	}
	body := t
	if last := t[len(t)-1]; last == 'N' || last == 'M' {
		body = t[:len(t)-1]
		if end, err := skipInt(body); last == 'N' && (err != nil || end != len(body)) {
			return dst, false
		}
	}
	end, err := skipInt(body)
	switch {
	case err != nil:
		return dst, false
	case end < len(body) && body[end] == '/' && body == t:
		if end+1 < len(body) && skipDigits([]byte(body), end+1) == len(body) {
			return appendString(dst, body), true
		}
		return dst, false
	case end == len(body)-1 && body[end] == '.':
		return append(append(dst, body...), '0'), true
	}
	if end, err := skipNumber([]byte(body), 0); err != nil || end != len(body) {
		return dst, false
	}
	return append(dst, body...), true
}

// hexMax bounds the length of hexadecimal numbers: to write them in decimal
// takes more than time in proportion to it.
const hexMax = 10000

// skipInt returns the index after the integer that s begins with.
func skipInt(s string) (int, error) {
	i := 0
	if i < len(s) && s[i] == '-' {
		i++
	}
	end := skipDigits([]byte(s), i)
	if end == i || s[i] == '0' && end > i+1 {
		return end, errNotInt
	}
	return end, nil
}

// str reads a string.
func (e *edn) str() (string, error) {
	var s []byte
	for e.i++; e.i < len(e.b); e.i++ {
		switch c := e.b[e.i]; c {
		case '"':
			e.i++
			return string(s), nil
		case '\\':
			e.i++
			var err error
			if s, err = e.escape(s); err != nil {
				return "", err
			}
		default:
			s = append(s, c)
		}
	}
	return "", errCut
}

// escape appends what the escape sequence at e.i stands for, and leaves e.i at
// its last byte.
func (e *edn) escape(s []byte) ([]byte, error) {
	if e.i >= len(e.b) {
		return s, errCut
	}
	switch c := e.b[e.i]; c {
	case '"', '\\':
		return append(s, c), nil
	case 'n':
		return append(s, '\n'), nil
	case 't':
		return append(s, '\t'), nil
	case 'r':
		return append(s, '\r'), nil
	case 'b':
		return append(s, '\b'), nil
	case 'f':
		return append(s, '\f'), nil
	case 'u':
		r, err := e.hex4()
		if err != nil {
			return s, err
		}
		if utf16.IsSurrogate(r) && bytes.HasPrefix(e.b[e.i+1:], []byte(`\u`)) {
			at := e.i
			e.i += 2
			low, err := e.hex4()
			if err != nil {
				return s, err
			}
			if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
				return utf8.AppendRune(s, both), nil
			}
			e.i = at
		}
		return utf8.AppendRune(s, r), nil // U+FFFD for half a pair
	}
	return s, e.wrong(`one of "\bfnrtu`)
}

// hex4 reads the digits after the u at e.i, and leaves e.i at the last.
func (e *edn) hex4() (r rune, err error) {
	for range 4 {
		e.i++
		if e.i >= len(e.b) {
			return 0, errCut
		}
		d := bytes.IndexByte([]byte("0123456789abcdef"), e.b[e.i]|0x20)
		if d < 0 || d < 10 && (e.b[e.i] < '0' || e.b[e.i] > '9') {
			return 0, e.wrong("a hexadecimal digit")
		}
		r = r<<4 | rune(d)
	}
	return r, nil
}

var namedChars = map[string]string{
	"newline": "\n", "space": " ", "tab": "\t", "return": "\r", "backspace": "\b", "formfeed": "\f",
}

// char reads a character: the first byte after the backslash belongs to it
// whatever it is.
func (e *edn) char() (string, error) {
	at := e.i
	e.i++
	_, size := utf8.DecodeRune(e.b[e.i:])
	if size == 0 {
		return "", errCut
	}
	first := e.i
	e.i += size
	e.token()
	t := string(e.b[first:e.i])
	if len(t) == size {
		return t, nil
	}
	if s, ok := namedChars[t]; ok {
		return s, nil
	}
	if t[0] == 'u' && len(t) == 5 {
		h := edn{b: []byte(t)}
		if r, err := h.hex4(); err == nil {
			return string(r), nil
		}
	}
	e.i = at
	return "", e.wrong(fmt.Sprintf(`a character such as \a, \newline or \u0061, not \%.80s`, t))
}
