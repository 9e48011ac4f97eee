package histories

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"
)

// ownFields are the names of the fields that Op has: no further field can be
// called so.
var ownFields = []string{"index", "time", "process", "type", "f", "value", "key", "node", "final", "error", "lamport"}

// ownField returns a name of ext that Op has itself, or "".
func ownField(ext map[string]json.RawMessage) string {
	for _, name := range ownFields {
		if _, taken := ext[name]; taken {
			return name
		}
	}
	return ""
}

// AppendJSON appends op to dst as a JSON object on one line, without the line
// break. The fields are, in this order: index, time, process, type, f, value,
// key, node, final, error, lamport, and the further ones by name. All but the
// first four are left out where they are empty or null. Value, Key and Ext
// must hold JSON; it is copied as it is.
func AppendJSON(dst []byte, op Op) []byte {
	dst = append(dst, `{"index":`...)
	dst = strconv.AppendInt(dst, int64(op.Index), 10)
	dst = append(dst, `,"time":`...)
	dst = strconv.AppendInt(dst, int64(op.Time), 10)
	dst = append(dst, `,"process":`...)
	dst = appendProcess(dst, op.Process)
	dst = append(dst, `,"type":"`...)
	dst = append(dst, op.Type.String()...)
	dst = append(dst, '"')
	return append(appendRest(dst, op), '}')
}

// appendRest appends what follows the type: members that each begin with a
// comma.
func appendRest(dst []byte, op Op) []byte {
	if op.F != "" {
		dst = appendString(append(dst, `,"f":`...), op.F)
	}
	if v := notNull(op.Value); v != nil {
		dst = appendRaw(append(dst, `,"value":`...), v)
	}
	if k := notNull(op.Key); k != nil {
		dst = appendRaw(append(dst, `,"key":`...), k)
	}
	if op.Node != "" {
		dst = appendString(append(dst, `,"node":`...), op.Node)
	}
	if op.Final {
		dst = append(dst, `,"final":true`...)
	}
	if op.Error != "" {
		dst = appendString(append(dst, `,"error":`...), op.Error)
	}
	if op.Lamport != 0 {
		dst = strconv.AppendUint(append(dst, `,"lamport":`...), op.Lamport, 10)
	}
	if len(op.Ext) > 0 {
		dst = appendMembers(append(dst, ','), op.Ext)
	}
	return dst
}

// appendMembers appends ext as members of an object, sorted by name, without
// braces.
func appendMembers(dst []byte, ext map[string]json.RawMessage) []byte {
	for i, name := range slices.Sorted(maps.Keys(ext)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, name), ':')
		if v := ext[name]; len(v) > 0 {
			dst = appendRaw(dst, v)
		} else {
			dst = append(dst, "null"...)
		}
	}
	return dst
}

// appendRaw appends JSON on one line: a line break in it can only be space
// between tokens.
func appendRaw(dst, raw []byte) []byte {
	if bytes.IndexByte(raw, '\n') < 0 {
		return append(dst, raw...)
	}
	for _, c := range raw {
		if c == '\n' {
			c = ' '
		}
		dst = append(dst, c)
	}
	return dst
}

func appendProcess(dst []byte, p Process) []byte {
	if !p.hasName() {
		return strconv.AppendInt(dst, int64(p), 10)
	}
	return appendString(dst, p.String())
}

// appendString appends s in quotes. What is not UTF-8 becomes U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(append(dst, s[from:i]...), "\ufffd"...)
				from = i + 1
			}
			i += size
			continue
		}
		dst = append(dst, s[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = fmt.Appendf(dst, `\u%04x`, c)
		}
		i++
		from = i
	}
	return append(append(dst, s[from:]...), '"')
}

// MarshalJSON writes op as AppendJSON does.
func (op Op) MarshalJSON() ([]byte, error) {
	if op.Type < Invoke || op.Type > Info {
		return nil, fmt.Errorf("op %d: %s is not a type of a history", op.Index, op.Type)
	}
	return AppendJSON(nil, op), nil
}
