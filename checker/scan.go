package checker

import (
	"bytes"
	"strconv"
)

// Records are flat objects, and there are millions of them: their fields are
// cut out of the text without building a tree of it. The text was accepted by
// a JSON decoder before, so it is well formed; of a text that is not, a field
// is not found.

// field returns the text of the named member of the object raw, or nil. The
// name must not need escaping; in a history that was EDN it may be a keyword.
func field(raw []byte, name string) []byte {
	i := skipSpace(raw, 0)
	if i >= len(raw) || raw[i] != '{' {
		return nil
	}
	i = skipSpace(raw, i+1)
	for i < len(raw) && raw[i] == '"' {
		end := skipValue(raw, i)
		key := bytes.TrimPrefix(raw[i+1:max(end-1, i+1)], []byte(":"))
		i = skipSpace(raw, end)
		if i >= len(raw) || raw[i] != ':' {
			return nil
		}
		i = skipSpace(raw, i+1)
		end = skipValue(raw, i)
		if string(key) == name {
			return raw[i:end]
		}
		i = skipSpace(raw, end)
		if i >= len(raw) || raw[i] != ',' {
			return nil
		}
		i = skipSpace(raw, i+1)
	}
	return nil
}

// elements calls yield with the text of each element of the array raw. It
// reports whether raw is an array.
func elements(raw []byte, yield func([]byte)) bool {
	i := skipSpace(raw, 0)
	if i >= len(raw) || raw[i] != '[' {
		return false
	}
	i = skipSpace(raw, i+1)
	if i < len(raw) && raw[i] == ']' {
		return true
	}
	for i < len(raw) {
		end := skipValue(raw, i)
		if end == i {
			return false
		}
		yield(raw[i:end])
		i = skipSpace(raw, end)
		if i >= len(raw) {
			return false
		}
		if raw[i] == ']' {
			return true
		}
		if raw[i] != ',' {
			return false
		}
		i = skipSpace(raw, i+1)
	}
	return false
}

// integer reads raw as a whole number of 64 bits.
func integer(raw []byte) (n int64, ok bool) {
	digits := bytes.TrimPrefix(raw, []byte("-"))
	plain := 0 < len(digits) && len(digits) <= 18
	for _, c := range digits {
		plain = plain && '0' <= c && c <= '9'
		n = 10*n + int64(c-'0')
	}
	switch {
	case !plain: // 1.0 is whole too
		n, err := strconv.ParseInt(text(raw), 10, 64)
		return n, err == nil
	case len(digits) < len(raw):
		return -n, true
	}
	return n, true
}

// null tells whether raw is null, or nothing.
func null(raw []byte) bool { return len(raw) == 0 || string(raw) == "null" }

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipValue returns the index behind the value that begins at i.
func skipValue(b []byte, i int) int {
	depth := 0
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return min(i+1, len(b))
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\n', '\t', '\r', ':':
			if depth == 0 {
				return i
			}
		}
	}
	return len(b)
}
