package node

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

type plain struct {
	A int
	B []string
}

type packed uint16

func (p packed) AppendBinary(b []byte) ([]byte, error) { return append(b, byte(p>>8), byte(p)), nil }
func (p *packed) UnmarshalBinary(b []byte) error {
	*p = packed(b[0])<<8 | packed(b[1])
	return nil
}

func TestCodec(t *testing.T) {
	c := Messages(plain{}, packed(0))
	for _, m := range []any{plain{1, []string{"x"}}, plain{}, packed(513)} {
		b := c.Append([]byte("before"), m)
		got, err := c.Decode(b[len("before"):])
		if err != nil {
			t.Fatalf("%v: %v", m, err)
		}
		if want, have := string(marshalJSON(m)), string(marshalJSON(got)); want != have {
			t.Errorf("%s became %s", want, have)
		}
	}
	if got := c.Name(c.Append(nil, packed(1))); got != "packed" {
		t.Errorf("name %q, want packed", got)
	}
	for _, bad := range []string{"", "\x09x", "\x00{"} {
		if _, err := c.Decode([]byte(bad)); err == nil {
			t.Errorf("%q decodes", bad)
		}
	}
	defer func() {
		if p := recover(); p == nil || !strings.Contains(p.(string), "not listed") {
			t.Errorf("an unlisted type gives panic %v", p)
		}
	}()
	c.Append(nil, "a string")
}

// A value that a message or the disk carried is spelt as it was.
func TestValuesAreCarriedAsTheyAre(t *testing.T) {
	type letter struct{ Value json.RawMessage }
	const value = `"a<b>&c \u0001"`
	c := Messages(letter{})
	m, err := c.Decode(c.Append(nil, letter{json.RawMessage(value)}))
	if err != nil || string(m.(letter).Value) != value {
		t.Errorf("a message brought %s, %v, want %s", m.(letter).Value, err, value)
	}
	var read letter
	if err := unmarshal(Put("k", letter{json.RawMessage(value)}).Value, &read); err != nil || string(read.Value) != value {
		t.Errorf("the disk kept %s, %v, want %s", read.Value, err, value)
	}
	if got := string(marshalJSON("<")); got != `"<"` {
		t.Errorf("an answer is %s", got)
	}
}

func TestNewRequest(t *testing.T) {
	r, err := NewRequest(7, "write", json.RawMessage(`"\u006b"`), json.RawMessage(`[1.0, {"b":1,"a":"\u003c"}]`))
	if err != nil || r.ID != 7 || r.F != "write" || string(r.Key) != `"k"` || string(r.Value) != `[1,{"a":"<","b":1}]` {
		t.Errorf("got %+v, %v", r, err)
	}
	if _, err := NewRequest(7, "write", nil, json.RawMessage(`{"a":1,"a":2}`)); err == nil || !strings.Contains(err.Error(), `value {"a":1,"a":2}: member "a" appears twice`) {
		t.Errorf("a doubled member: %v", err)
	}
	if _, err := NewRequest(7, "write", json.RawMessage(`{`), nil); err == nil || !strings.Contains(err.Error(), "key {") {
		t.Errorf("a key that is no JSON: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	c := Messages(plain{}, struct{ X map[string]int }{})
	f.Add(c.Append(nil, plain{2, nil}))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := c.Decode(b)
		if err != nil {
			return
		}
		if again, err := c.Decode(c.Append(nil, m)); err != nil || string(marshalJSON(again)) != string(marshalJSON(m)) {
			t.Errorf("%q decodes to %v and does not survive: %v", b, m, err)
		}
	})
}

// memory is a disk on which nothing has been performed since the step began.
type memory map[string][]byte

func (m memory) Read(key string) ([]byte, bool) { v, ok := m[key]; return v, ok }
func (m memory) Keys(prefix string) (keys []string) {
	for k := range m {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

func newTestEnv(d Disk) *Env {
	e := NewEnv(Host{ID: "n1", Peers: []ID{"n1", "n2"}, Codec: Messages(plain{}), Disk: d,
		Rand: func(string) *rand.Rand { return rand.New(rand.NewPCG(1, 1)) }})
	e.Begin(1, 2)
	return e
}

// A step sees its own writes, though none has been performed yet.
func TestEnvReadsItsOwnWrites(t *testing.T) {
	e := newTestEnv(memory{"a/1": []byte("1"), "a/2": []byte("2"), "b": []byte("3")})
	e.Write("a/3", 3)
	e.Batch(Put("a/1", 10), Del("a/2"))
	var n int
	if !e.Read("a/1", &n) || n != 10 {
		t.Errorf("a/1 is %d, want 10", n)
	}
	if e.Read("a/2", &n) {
		t.Error("a/2 is still there")
	}
	if !e.Read("b", &n) || n != 3 {
		t.Errorf("b is %d, want 3", n)
	}
	if got, want := e.Keys("a/"), []string{"a/1", "a/3"}; !slices.Equal(got, want) {
		t.Errorf("keys %v, want %v", got, want)
	}
	e.Write("raw", []byte{0, 1})
	var raw []byte
	if !e.Read("raw", &raw) || !slices.Equal(raw, []byte{0, 1}) {
		t.Errorf("raw is %v: bytes go to disk as they are", raw)
	}
}

func TestEffectsKeepTheirOrder(t *testing.T) {
	e := newTestEnv(memory{})
	e.Write("k", 1)
	e.Sync()
	e.BroadcastOthers(plain{})
	e.Reply(Request{ID: 7}, nil, Ext{"idx", 3})
	e.Fail(Request{ID: 8}, "no")
	e.After(-5, "soon")
	e.Cancel("late")
	e.After(math.MaxInt64, "never")
	e.Record("did", json.RawMessage(`{}`))
	e.Role("leader", 2)
	var kinds []EffectKind
	effects := e.End()
	for _, f := range effects {
		kinds = append(kinds, f.Kind)
	}
	want := []EffectKind{Write, Sync, Send, Answer, Answer, SetTimer, SetTimer, SetTimer, Record, Role}
	if !slices.Equal(kinds, want) {
		t.Errorf("effects %v, want %v", kinds, want)
	}
	if f := effects[3]; !f.OK || string(f.Value) != "null" || string(f.Ext["idx"]) != "3" || f.Req != 7 {
		t.Errorf("answer %+v", f)
	}
	if effects[5].After != 0 || effects[6].After != -1 || effects[7].After != year {
		t.Errorf("timers %v, %v and %v: a negative delay is at once, a cancellation is negative, and a year is the longest", effects[5].After, effects[6].After, effects[7].After)
	}
	defer func() {
		if recover() == nil {
			t.Error("an Env used after its step does not panic")
		}
	}()
	e.Sync()
}
