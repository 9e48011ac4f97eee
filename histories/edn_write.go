package histories

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"
)

// WriteEDN writes h as Jepsen does, an op a line, for Jepsen's own tools. The
// type, f, names of processes and the names of fields are keywords; so are,
// in the values of transactions (f is txn, or none), the names of
// micro-operations: [[:append "x" 1] [:r "y" nil]]. Other strings of values and
// keys are strings, but for those that stand for keywords (edn_scan.go).
// Of numbers, integers beyond 64 bits end in N, and those that a double cannot
// hold in M. Reading it again gives h, except that the JSON of values is spelt
// one way: without white space, and with as few escapes as can be.
func WriteEDN(w io.Writer, h History) error { return writeOps(w, h, appendEDN) }

// appendEDN appends op as an EDN map. appendString serves for strings: EDN's
// escapes are JSON's, and it uses no other.
func appendEDN(dst []byte, op Op) []byte {
	dst = fmt.Appendf(dst, "{:index %d, :time %d, :process ", op.Index, op.Time)
	if !op.Process.hasName() {
		dst = strconv.AppendInt(dst, int64(op.Process), 10)
	} else {
		dst = appendName(dst, op.Process.String())
	}
	dst = fmt.Appendf(dst, ", :type :%s", op.Type)
	if op.F != "" {
		dst = appendName(append(dst, ", :f "...), op.F)
	}
	dst = append(dst, ", :value "...)
	switch v := notNull(op.Value); {
	case v == nil:
		dst = append(dst, "nil"...)
	case op.F == "txn" || op.F == "":
		dst, _ = ednValue(dst, v, skipSpace(v, 0), txnLevel)
	default:
		dst, _ = ednValue(dst, v, skipSpace(v, 0), 0)
	}
	if k := notNull(op.Key); k != nil {
		dst, _ = ednValue(append(dst, ", :key "...), k, skipSpace(k, 0), 0)
	}
	if op.Node != "" {
		dst = appendString(append(dst, ", :node "...), op.Node)
	}
	if op.Final {
		dst = append(dst, ", :final true"...)
	}
	if op.Error != "" {
		dst = appendString(append(dst, ", :error "...), op.Error)
	}
	if op.Lamport != 0 {
		dst = ednNumber(append(dst, ", :lamport "...), strconv.AppendUint(nil, op.Lamport, 10))
	}
	if len(op.Ext) > 0 {
		eachMember(appendMembers(nil, op.Ext), func(name, value []byte) bool {
			dst = append(appendName(append(dst, ", "...), string(name)), ' ')
			dst, _ = ednValue(dst, value, 0, fieldLevel)
			return true
		})
	}
	return append(dst, '}')
}

// Levels of the value of a transaction: a list of micro-operations, which are
// lists that begin with their name. In other values the level is 0, and in
// fields that Op does not have fieldLevel, at any depth.
const (
	fieldLevel = -1

	txnLevel  = 1
	mopLevel  = 2
	nameLevel = 3
)

// ednValue appends the JSON value at b[i] as EDN, and returns the index after
// it. b has been accepted by skipValue.
func ednValue(dst, b []byte, i, level int) (_ []byte, after int) {
	switch b[i] {
	case '[':
		return ednArray(dst, b, i, level)
	case '{':
		return ednObject(dst, b, i, min(level, 0))
	}
	after, err := skipValue(b, i, 0)
	if err != nil {
		panic(fmt.Sprintf("write %s as EDN: %v", b, err))
	}
	switch v := b[i:after]; {
	case v[0] == 'n':
		dst = append(dst, "nil"...)
	case v[0] == 't' || v[0] == 'f':
		dst = append(dst, v...)
	case v[0] != '"':
		dst = ednNumber(dst, v)
	case level == nameLevel && microOps[string(unquote(v))]:
		dst = appendName(dst, string(unquote(v)))
	case level == fieldLevel:
		dst = appendString(dst, string(unquote(v)))
	default:
		dst = appendWord(dst, string(unquote(v)))
	}
	return dst, after
}

// appendWord appends a string of a value, which may stand for a keyword.
func appendWord(dst []byte, s string) []byte {
	if !likeKeyword(s) {
		return appendString(dst, s)
	}
	if s[1] == ':' {
		return appendString(dst, s[1:])
	}
	return append(dst, s...)
}

func ednArray(dst, b []byte, i, level int) (_ []byte, after int) {
	if level == txnLevel || level == mopLevel {
		level++
	} else {
		level = min(level, 0)
	}
	dst = append(dst, '[')
	for i = skipSpace(b, i+1); b[i] != ']'; {
		dst, i = ednValue(dst, b, i, level)
		if level == nameLevel {
			level = 0 // only the first is a name
		}
		if i = skipSpace(b, i); b[i] == ',' {
			dst = append(dst, ' ')
			i = skipSpace(b, i+1)
		}
	}
	return append(dst, ']'), i + 1
}

func ednObject(dst, b []byte, i, level int) (_ []byte, after int) {
	if tag, value, ok := taggedObject(b, i); ok {
		dst, i = ednValue(append(append(dst, tag...), ' '), b, value, level)
		return dst, skipSpace(b, i) + 1
	}
	dst = append(dst, '{')
	i, more := skipBrace(b, i)
	for first := true; more; first = false {
		if !first {
			dst = append(dst, ", "...)
		}
		nameEnd, value, _ := skipName(b, i)
		if name := string(unquote(b[i:nameEnd])); level == fieldLevel {
			dst = appendName(dst, name)
		} else {
			dst = appendWord(dst, name)
		}
		dst, i = ednValue(append(dst, ' '), b, value, level)
		i, more, _ = skipComma(b, i)
	}
	return append(dst, '}'), i
}

// taggedObject tells whether the object at b[i] stands for a tagged form: it
// is {"#tag": value}, where tag begins with a letter: #_ would discard the
// value. value is that value's index.
func taggedObject(b []byte, i int) (tag []byte, value int, ok bool) {
	i, more := skipBrace(b, i)
	if !more || b[i+1] != '#' {
		return nil, 0, false
	}
	nameEnd, value, _ := skipName(b, i)
	tag = unquote(b[i:nameEnd])
	if name := string(tag[1:]); !keywordable(name) || !letter(name[0]) || untagged[name] {
		return nil, 0, false
	}
	end, err := skipValue(b, value, 0)
	return tag, value, err == nil && b[skipSpace(b, end)] == '}'
}

// ednNumber appends the JSON number v, exact whatever its size.
func ednNumber(dst, v []byte) []byte {
	dst = append(dst, v...)
	if !bytes.ContainsAny(v, ".eE") {
		if _, err := strconv.ParseInt(string(v), 10, 64); err != nil {
			dst = append(dst, 'N')
		}
		return dst
	}
	digits, zero := 0, true
	for _, c := range v {
		if c == 'e' || c == 'E' {
			break
		}
		if '0' <= c && c <= '9' {
			digits++
			zero = zero && c == '0'
		}
	}
	// A double keeps 15 decimal digits unless it is subnormal.
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil || digits > 15 || !zero && math.Abs(f) < 1e-307 {
		dst = append(dst, 'M')
	}
	return dst
}

// appendName appends s as a keyword, or as a string if no keyword is spelt so.
func appendName(dst []byte, s string) []byte {
	if keywordable(s) {
		return append(append(dst, ':'), s...)
	}
	return appendString(dst, s)
}

// keywordable tells whether :s is a keyword to every reader.
func keywordable(s string) bool {
	slash := false
	for i := range len(s) {
		c := s[i]
		switch {
		case letter(c):
		case bytes.IndexByte([]byte("*!_?$%&=<>"), c) >= 0:
		case '0' <= c && c <= '9' || bytes.IndexByte([]byte("-+."), c) >= 0:
			if i == 0 || s[i-1] == '/' {
				return false
			}
		case c == '/' && !slash && i > 0 && i < len(s)-1:
			slash = true
		default:
			return false
		}
	}
	return s != ""
}

func letter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
