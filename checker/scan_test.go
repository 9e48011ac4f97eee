package checker

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

// randomJSON is some JSON text, with spaces where they may be.
func randomJSON(r *rand.Rand, depth int) string {
	space := []string{"", "", " ", "\r\n\t"}[r.IntN(4)]
	switch k := r.IntN(9); {
	case k < 2 && depth > 0:
		s := "{" + space
		for i := range r.IntN(4) {
			if i > 0 {
				s += "," + space
			}
			s += strconv.Quote(string(rune('a'+i))) + space + ":" + space + randomJSON(r, depth-1) + space
		}
		return s + "}"
	case k < 4 && depth > 0:
		s := "[" + space
		for i := range r.IntN(4) {
			if i > 0 {
				s += space + ","
			}
			s += randomJSON(r, depth-1) + space
		}
		return s + "]"
	case k == 4:
		return []string{`""`, `"x"`, `"a\"b]}"`, `"{[,:\\"`, `"é"`}[r.IntN(5)]
	case k == 5:
		return []string{"null", "true", "false"}[r.IntN(3)]
	}
	return []string{"0", "-1", "12", "1.5", "123456789012345678", "1234567890123456789"}[r.IntN(6)]
}

func TestScanAgreesWithJSON(t *testing.T) {
	random(t, 5000, func(t *testing.T, r *rand.Rand) {
		in := []byte(randomJSON(r, 3))
		var object map[string]json.RawMessage
		_ = json.Unmarshal(in, &object) // not an object: no fields
		for _, name := range []string{"a", "b", "c", "z"} {
			if got := field(in, name); !bytes.Equal(got, object[name]) {
				t.Errorf("%s: field %s is %s, want %s", in, name, got, object[name])
			}
		}
		var array, got []json.RawMessage
		is := json.Unmarshal(in, &array) == nil && array != nil
		if ok := elements(in, func(e []byte) { got = append(got, e) }); ok != is {
			t.Errorf("%s: is an array: %v, want %v", in, ok, is)
		}
		if is && !slices.EqualFunc(got, array, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
			t.Errorf("%s: elements %s, want %s", in, got, array)
		}
		want, err := strconv.ParseInt(string(in), 10, 64)
		if n, ok := integer(in); ok != (err == nil) || ok && n != want {
			t.Errorf("%s: integer %d %v, want %d %v", in, n, ok, want, err)
		}
	})
}

func TestInteger(t *testing.T) {
	for _, c := range []struct {
		in   string
		want int64
		ok   bool
	}{
		{"0", 0, true}, {"-0", 0, true}, {"1.0", 1, true}, {"-12e1", -120, true}, {"123456789012345678", 123456789012345678, true},
		{"-123456789012345678", -123456789012345678, true}, {"1234567890123456789", 1234567890123456789, true},
		{"9223372036854775807", 9223372036854775807, true}, {"-9223372036854775808", -9223372036854775808, true},
		{"9223372036854775808", 0, false}, {"1.5", 0, false}, {"", 0, false}, {"-", 0, false}, {"null", 0, false}, {`"1"`, 0, false}, {"1e30", 0, false},
	} {
		if got, ok := integer([]byte(c.in)); got != c.want && c.ok || ok != c.ok {
			t.Errorf("%s: got %d, %v, want %d, %v", c.in, got, ok, c.want, c.ok)
		}
	}
}

// Histories that were EDN have keywords for names.
func TestFieldOfKeyword(t *testing.T) {
	if got := field([]byte(`{":b":1,":a":2,"c":3}`), "a"); string(got) != "2" {
		t.Errorf("field a is %s, want 2", got)
	}
}

// What is not JSON is not found, and does no harm.
func FuzzScan(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `[1,2]`, `{"a`, `{"a":`, `[`, `{"a":"\`, `]`, `{"a":[}`, "", "{", `{"a" 1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := field(b, "a")
		if json.Valid(b) && got != nil && !json.Valid(got) {
			t.Errorf("%q: field %q", b, got)
		}
		n := 0
		elements(b, func([]byte) { n++ })
		if n > len(b) {
			t.Errorf("%q has %d elements", b, n)
		}
	})
}
