package node

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCanon(t *testing.T) {
	zeros := strings.Repeat("0", 20)
	for _, c := range []struct{ in, want string }{
		{``, ``},
		{` null `, `null`},
		{"\t[ true,\r\nfalse ] ", `[true,false]`},
		{`[]`, `[]`}, {`[ ]`, `[]`}, {`{}`, `{}`}, {`{ }`, `{}`},
		{`{"b":1,"a":2}`, `{"a":2,"b":1}`},
		{`{"ab":1,"a":{"d":1,"c":[2,{"z":1,"y":2}]}}`, `{"a":{"c":[2,{"y":2,"z":1}],"d":1},"ab":1}`},
		{`{"\u0062":1,"a":2}`, `{"a":2,"b":1}`},
		{`"z\u00fcrich"`, `"zürich"`}, {`"a\u003Cb"`, `"a<b"`}, {`"\u2028\/"`, "\"\u2028/\""},
		{`"\u0022\u005c\u000a\u0009\u000D\b\f\u001F"`, `"\"\\\n\t\r\u0008\u000c\u001f"`},
		{`"\ud83d\uDE00"`, `"😀"`}, {`"\uD83D x \ude00"`, `"\ud83d x \ude00"`}, {`"\ud83d\ud83d\ude00"`, `"\ud83d😀"`},
		{"\"\xe9\"", "\"\xe9\""},
		{`0`, `0`}, {`-0`, `0`}, {`0.0`, `0`}, {`-0e5`, `0`}, {`0e999999999999999999999`, `0`},
		{`1.0`, `1`}, {`1e0`, `1`}, {`10e-1`, `1`}, {`0.1E+1`, `1`}, {`-1.50`, `-1.5`}, {`15e-1`, `1.5`},
		{`1e3`, `1000`}, {`120e-1`, `12`}, {`0.001`, `0.001`}, {`1e-3`, `0.001`}, {`100`, `100`},
		{`123456789012345678901234567890`, `123456789012345678901234567890`},
		{`9007199254740993.0`, `9007199254740993`},
		{`12345678901234567890123456789.5e1`, `123456789012345678901234567895`},
		{`1` + zeros, `1` + zeros}, {`1e20`, `1` + zeros}, {`1` + zeros + `0`, `1e21`}, {`12.5e22`, `1.25e23`}, {`12` + zeros, `12` + zeros},
		{`1e-21`, `0.` + zeros + `1`}, {`1e-22`, `1e-22`}, {`-12.5e-30`, `-1.25e-29`},
		{`1e1000000000000000000000`, `1e1000000000000000000000`}, {`0.1e-1000000000000000000000`, `1e-1000000000000000000001`},
	} {
		got, err := Canon(json.RawMessage(c.in))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.in, got, err, c.want)
		}
		if again, err := Canon(got); err != nil || string(again) != string(got) {
			t.Errorf("%s becomes %s and that %s, %v", c.in, got, again, err)
		}
	}
}

func TestCanonMalformed(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{` `, `it ends where a JSON value should be`},
		{`{"a":1,"b":2,"a":3}`, `member "a" appears twice`},
		{`[{"\u0061":1, "a":1}]`, `member "a" appears twice`},
		{`[1,]`, `byte 4: got ']', want a JSON value`},
		{`[1 2]`, `byte 4: got '2', want a comma or ]`},
		{`[,1]`, `byte 2: got ',', want a JSON value`},
		{`{"a" 1}`, `byte 6: got '1', want a colon`},
		{`{"a":1,}`, `byte 8: got '}', want a member's name in quotes`},
		{`{a:1}`, `byte 2: got 'a', want a member's name in quotes`},
		{`{"a":1]`, `byte 7: got ']', want a comma or }`},
		{`01`, `byte 1: got '0', want a number without zeros before it`},
		{`-`, `it ends where a number without zeros before it should be`},
		{`1.`, `it ends where a digit should be`},
		{`1e+`, `it ends where a digit should be`},
		{`1 2`, `byte 3: got '2', want the end of the value`},
		{"1\x00", `byte 2: got '\x00', want the end of the value`},
		{`nul`, `byte 1: got 'n', want a JSON value`},
		{`"a`, `it ends where the end of the string should be`},
		{"\"a\n\"", `byte 3: got '\n', want control characters to be escaped`},
		{`"\x"`, `byte 3: got 'x', want one of "\/bfnrtu`},
		{`"\`, `it ends where one of "\/bfnrtu should be`},
		{`"\u12g4"`, `byte 3: got 'u', want four hexadecimal digits behind it`},
		{strings.Repeat("[", 10002), `byte 10002: got '[', want at most 10000 levels of nesting`},
	} {
		if got, err := Canon(json.RawMessage(c.in)); err == nil || err.Error() != c.want {
			t.Errorf("%.60s: got %s, %v, want %s", c.in, got, err, c.want)
		}
	}
}

// Values that are canonical already, as most are, are neither copied nor
// written anew.
func TestCanonLeavesPlainValues(t *testing.T) {
	for _, in := range []string{`null`, `17`, `-3`, `0`, `"k1"`, `"zürich"`, `[1,[2,"x"],{"a":1,"b":{}}]`, `{"a":1,"ab":2}`} {
		raw := json.RawMessage(in)
		if n := testing.AllocsPerRun(10, func() { Canon(raw) }); n != 0 {
			t.Errorf("%s: %v allocations", in, n)
		}
	}
}

// naive is raw as a tree in which equal values are deeply equal. ok is false if
// raw is no JSON, has a member twice, or holds what encoding/json does not
// tell apart: bytes that are not UTF-8, and halves of surrogate pairs.
func naive(raw []byte) (v any, ok bool) {
	if !utf8.Valid(raw) {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	v, ok = naiveValue(d)
	if _, err := d.Token(); err != io.EOF {
		return nil, false
	}
	return v, ok
}

func naiveValue(d *json.Decoder) (any, bool) {
	token, err := d.Token()
	if err != nil {
		return nil, false
	}
	switch token := token.(type) {
	case json.Delim:
		list, object := []any{}, map[string]any{}
		for d.More() {
			name := ""
			if token == '{' {
				key, err := d.Token()
				if err != nil {
					return nil, false
				}
				name = key.(string)
				if _, twice := object[name]; twice || strings.ContainsRune(name, utf8.RuneError) {
					return nil, false
				}
			}
			v, ok := naiveValue(d)
			if !ok {
				return nil, false
			}
			list, object[name] = append(list, v), v
		}
		if _, err := d.Token(); err != nil {
			return nil, false
		}
		if token == '[' {
			return list, true
		}
		return object, true
	case json.Number:
		if i := strings.IndexAny(string(token), "eE"); i >= 0 {
			if e, err := strconv.Atoi(string(token[i+1:])); err != nil || e > 200 || e < -200 {
				return nil, false // a fraction of that size would take for ever
			}
		}
		r, ok := new(big.Rat).SetString(string(token))
		if !ok {
			return nil, false
		}
		return "number " + r.RatString(), true
	case string:
		return "string " + token, !strings.ContainsRune(token, utf8.RuneError)
	default:
		return fmt.Sprint(token), true
	}
}

func checkCanon(t *testing.T, a, b []byte) {
	t.Helper()
	before := string(a)
	ca, erra := Canon(a)
	if string(a) != before {
		t.Errorf("Canon changed %q to %q", before, a)
	}
	if erra == nil && len(a) > 0 {
		if !json.Valid(ca) {
			t.Errorf("%q becomes %q, which is no JSON", a, ca)
		}
		if again, err := Canon(ca); err != nil || !bytes.Equal(again, ca) {
			t.Errorf("%q becomes %q and that %q, %v", a, ca, again, err)
		}
		if end := plainValue(ca, 0, 0); !bytes.ContainsAny(ca, `.e\`) && end != len(ca) {
			t.Errorf("%q is not seen to be canonical", ca)
		}
	}
	va, oka := naive(a)
	if oka != (erra == nil) && oka {
		t.Errorf("%q: got %v, and it is JSON", a, erra)
	}
	if erra == nil && len(a) > 0 && !json.Valid(a) {
		t.Errorf("%q becomes %q, and is no JSON", a, ca)
	}
	vb, okb := naive(b)
	if !oka || !okb {
		return
	}
	cb, err := Canon(b)
	if err != nil {
		t.Errorf("%q: %v", b, err)
	}
	if same := reflect.DeepEqual(va, vb); same != bytes.Equal(ca, cb) {
		t.Errorf("%q and %q become %q and %q, and are equal: %v", a, b, ca, cb, same)
	}
}

func FuzzCanon(f *testing.F) {
	f.Add([]byte(`{"b":[1.0,10e-1],"a":"\u00e9"}`), []byte(`{"a":"é", "b":[1,1]}`))
	f.Add([]byte(`1e30`), []byte(`10e29`))
	f.Add([]byte(`"\ud83d\ude00"`), []byte(`"😀"`))
	f.Add([]byte(`0.000`), []byte(`-0`))
	f.Add([]byte(`[1,]`), []byte(`{"a":1,"a":1}`))
	f.Fuzz(checkCanon)
}

// Two texts of one value, and of two that nearly are, at random.
func TestCanonRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		v := randomValue(r, 3)
		w := v
		if r.IntN(2) == 0 {
			w = randomValue(r, 3)
		}
		checkCanon(t, []byte(spell(r, v)), []byte(spell(r, w)))
	}
}

// randomValue is of few different ones: nil, bool, int (thousandths), string,
// []any or map[string]any.
func randomValue(r *rand.Rand, depth int) any {
	switch n := r.IntN(8); {
	case n == 0:
		return []any{nil, true, false}[r.IntN(3)]
	case n <= 2:
		return []int{0, 1, 10, 500, 1000, 1500, 1000000, -1000, 999999999999999999}[r.IntN(9)]
	case n <= 4 || depth == 0:
		return []string{"", "a", "<", "ü", "😀", "\n", `"`, `\`, "a/"}[r.IntN(9)]
	case n == 5:
		m := map[string]any{}
		for range r.IntN(4) {
			m[[]string{"a", "b", "ab", "ü", `"`}[r.IntN(5)]] = randomValue(r, depth-1)
		}
		return m
	default:
		list := []any{}
		for range r.IntN(3) {
			list = append(list, randomValue(r, depth-1))
		}
		return list
	}
}

// spell writes v in one of many ways.
func spell(r *rand.Rand, v any) string {
	space := func() string { return []string{"", "", "", " ", "\n\t"}[r.IntN(5)] }
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprint(v)
	case int:
		switch r.IntN(4) {
		case 0:
			return fmt.Sprintf("%de-3", v)
		case 1:
			return fmt.Sprintf("%d000E-06", v)
		case 2:
			return new(big.Rat).SetFrac64(int64(v), 1000).FloatString(3 + r.IntN(3))
		}
		if v%1000 == 0 {
			return fmt.Sprint(v / 1000)
		}
		return fmt.Sprintf("%de-3", v)
	case string:
		var b strings.Builder
		for _, c := range v {
			switch n := r.IntN(3); {
			case n == 0 && c < 0x10000:
				fmt.Fprintf(&b, `\u%04X`, c)
			case n == 0:
				b.WriteString(`\ud83d\uDE00`)
			case c == '"' || c == '\\' || c == '/' && n == 1:
				b.WriteString(`\` + string(c))
			case c == '\n':
				b.WriteString(`\n`)
			default:
				b.WriteRune(c)
			}
		}
		return `"` + b.String() + `"`
	case []any:
		var all []string
		for _, e := range v {
			all = append(all, space()+spell(r, e)+space())
		}
		return "[" + strings.Join(all, ",") + "]"
	case map[string]any:
		var all []string
		for name, e := range v { // in any order
			all = append(all, space()+spell(r, name)+space()+":"+spell(r, e))
		}
		return "{" + strings.Join(all, ",") + "}"
	}
	panic(fmt.Sprintf("spell %T", v))
}

func BenchmarkCanon(b *testing.B) {
	for _, raw := range []string{`17`, `"k3"`, `[1,2]`, `[["append",3,17],["r",4,[1,2,3,4,5,6]]]`, `{"idx":7,"op":"x"}`, `{"op":"x","idx":7}`} {
		b.Run(raw, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Canon(json.RawMessage(raw))
			}
		})
	}
}

// However deep an object lies and however its members are sorted, it is moved
// once: with once for each level around it this test took minutes.
func TestCanonDeep(t *testing.T) {
	const depth = 9000
	long := `"` + strings.Repeat("x", 4<<20) + `"`
	got, err := Canon(json.RawMessage(strings.Repeat(`{"c":[{"e":1,"d":2}],"b":1,"a":`, depth) + long + strings.Repeat("}", depth)))
	want := strings.Repeat(`{"a":`, depth) + long + strings.Repeat(`,"b":1,"c":[{"d":2,"e":1}]}`, depth)
	if err != nil || string(got) != want {
		t.Errorf("got %.100s, %v", got, err)
	}
	for raw, want := range map[string]string{
		"1e" + strings.Repeat("9", 1000): "1e" + strings.Repeat("9", 1000),
		"1e" + strings.Repeat("9", 1001): "",
	} {
		if got, err := Canon(json.RawMessage(raw)); string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%.20s…: got %.40s, %v", raw, got, err)
		}
	}
}
