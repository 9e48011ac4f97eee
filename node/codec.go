package node

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
)

// Codec turns an algorithm's messages into bytes and back. Both worlds send
// these bytes: no message is ever shared between nodes in memory. A Codec is
// safe for concurrent use.
type Codec interface {
	// Append appends m, encoded, to dst. It panics on a type that the codec
	// does not know: that is a bug.
	Append(dst []byte, m any) []byte
	// Decode is the inverse. It fails on bytes that no peer could have sent.
	Decode(b []byte) (any, error)
	// Name tells the type of an encoded message, for traces and budgets.
	Name(b []byte) string
}

// Messages is the codec of the types of examples, which Decode returns as
// values: one byte for the type, then its AppendBinary if it has one, with an
// UnmarshalBinary on the pointer, else JSON.
func Messages(examples ...any) Codec {
	if len(examples) > 255 {
		panic("node: more than 255 message types")
	}
	c := &codec{tags: map[reflect.Type]byte{}}
	for _, m := range examples {
		t := reflect.TypeOf(m)
		_, binary := m.(encoding.BinaryAppender)
		c.tags[t] = byte(len(c.types))
		c.types = append(c.types, messageType{t, binary})
	}
	return c
}

type codec struct {
	tags  map[reflect.Type]byte
	types []messageType
}

type messageType struct {
	reflect.Type
	binary bool
}

func (c *codec) Append(dst []byte, m any) []byte {
	tag, ok := c.tags[reflect.TypeOf(m)]
	if !ok {
		panic(fmt.Sprintf("message type %T is not listed in Messages", m))
	}
	dst = append(dst, tag)
	if c.types[tag].binary {
		b, err := m.(encoding.BinaryAppender).AppendBinary(dst)
		if err != nil {
			panic(fmt.Sprintf("encode %T: %v", m, err))
		}
		return b
	}
	return append(dst, marshalJSON(m)...)
}

func (c *codec) Decode(b []byte) (any, error) {
	if len(b) == 0 || int(b[0]) >= len(c.types) {
		return nil, fmt.Errorf("message %.20x: its type is unknown", b)
	}
	t := c.types[b[0]]
	m := reflect.New(t.Type)
	var err error
	if t.binary {
		err = m.Interface().(encoding.BinaryUnmarshaler).UnmarshalBinary(b[1:])
	} else {
		err = json.Unmarshal(b[1:], m.Interface())
	}
	if err != nil {
		return nil, fmt.Errorf("message %s: %w", t.Name(), err)
	}
	return m.Elem().Interface(), nil
}

func (c *codec) Name(b []byte) string {
	if len(b) == 0 || int(b[0]) >= len(c.types) {
		return "unknown"
	}
	return c.types[b[0]].Name()
}

// marshal is how values go to disk: bytes as they are, the rest as JSON.
func marshal(v any) []byte {
	if b, ok := v.([]byte); ok {
		return b
	}
	return marshalJSON(v)
}

func unmarshal(b []byte, v any) error {
	if p, ok := v.(*[]byte); ok {
		*p = b
		return nil
	}
	return json.Unmarshal(b, v)
}

// marshalJSON is how values go into histories and messages without an encoding
// of their own.
func marshalJSON(v any) json.RawMessage {
	switch v := v.(type) {
	case nil:
		return json.RawMessage("null")
	case json.RawMessage:
		if v == nil {
			return json.RawMessage("null")
		}
		return v
	}
	b, err := json.Marshal(v)
	if err == nil && bytes.Contains(b, []byte(`\u`)) {
		b, err = marshalUnescaped(v)
	}
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err))
	}
	return b
}

// marshalUnescaped is json.Marshal, but leaves < > and & as they are, also in
// the json.RawMessages of v: a value that a message or the disk has carried is
// the value that it was.
func marshalUnescaped(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
