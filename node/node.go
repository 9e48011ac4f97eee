// Package node is the contract between a distributed algorithm and the world
// it runs in.
//
// A Node is a state machine: events come in, effects go out. It does no I/O,
// starts no goroutine, reads no clock and draws no randomness but through its
// Env. So the same Node runs in a simulator, where a seed decides everything,
// and in a container, where nothing does.
package node

import (
	"encoding/json"
	"fmt"
)

// ID names a node: n1, n2, ….
type ID string

// Node is one participant. The world calls one method at a time and carries
// out the effects recorded in env, in the order recorded, after it returns.
// A crash may cut that list short at any point.
type Node interface {
	// Start boots the node. Only what env.Read and env.Keys show survived
	// an earlier life; memory is fresh.
	Start(env *Env)

	// Request is a client's operation. Answer it now or later, once, with
	// env.Reply or env.Fail, or never.
	Request(env *Env, r Request)

	// Receive is a message m, of a type listed in Messages, sent by a peer.
	// Messages may be lost, duplicated, delayed and reordered.
	Receive(env *Env, from ID, m any)

	// Timer fires a timer set with env.After.
	Timer(env *Env, name string)
}

// Request is a client's operation, as received by one node. Its key and value
// are canonical, see Canon.
type Request struct {
	ID    uint64 // unique at this node in this life, and only there
	F     string
	Key   json.RawMessage // the object it is about, or nil
	Value json.RawMessage // nil is null
}

// NewRequest makes a request, for worlds. It fails on a key or a value that
// Canon does not understand.
func NewRequest(id uint64, f string, key, value json.RawMessage) (r Request, err error) {
	r = Request{ID: id, F: f}
	if r.Key, err = Canon(key); err != nil {
		return r, fmt.Errorf("key %.80s: %w", key, err)
	}
	if r.Value, err = Canon(value); err != nil {
		return r, fmt.Errorf("value %.80s: %w", value, err)
	}
	return r, nil
}

// Decode decodes the request's value into v. A node answers what it cannot
// decode with env.Fail.
func (r Request) Decode(v any) error {
	if r.Value == nil {
		return json.Unmarshal([]byte("null"), v)
	}
	return json.Unmarshal(r.Value, v)
}

// Options is how a node is made: which planted bug it has, if any, and the
// values of the flags that its target declares.
type Options struct {
	Bug   string            `json:"bug,omitempty"`
	Flags map[string]string `json:"flags,omitempty"`
}

// Flag returns the value of a flag. The target's declaration has supplied the
// default.
func (o Options) Flag(name string) string { return o.Flags[name] }
