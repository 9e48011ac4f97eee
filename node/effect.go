package node

import (
	"encoding/json"
	"time"
)

// EffectKind says which of an Effect's fields count.
type EffectKind uint8

const (
	// Send gives Body, a message of the codec, to the peer To. The world may
	// lose, duplicate, delay and reorder it.
	Send EffectKind = iota + 1
	// Answer completes request Req: OK with Value and Ext, or not OK with
	// Error, and then it never took and never takes effect.
	Answer
	// SetTimer fires Name after After on the node's own clock, replacing any
	// timer of that name. After < 0 cancels.
	SetTimer
	// Write applies Changes to the disk, all or none. Until a Sync a crash of
	// the machine (not of the process) can lose it.
	Write
	// Sync makes every earlier Write durable before any later effect.
	Sync
	// Record puts Name (the record's f) and Value into the history, as this
	// node's. It survives any crash after this effect.
	Record
	// Role announces that the node now plays the role Name, in the term Term.
	Role
)

// Effect is something a step asks its world to do. It is flat, and not an
// interface, because a world performs millions of them.
type Effect struct {
	Kind    EffectKind
	OK      bool
	To      ID
	Name    string
	Req     uint64
	Term    uint64
	After   time.Duration
	Body    []byte
	Value   json.RawMessage
	Error   string
	Ext     map[string]json.RawMessage
	Changes []Change
}

// Change is one key's new value, or its deletion.
type Change struct {
	Key    string
	Value  []byte
	Delete bool
}

// Put is the change that stores value under key: a []byte as it is, anything
// else as JSON.
func Put(key string, value any) Change { return Change{Key: key, Value: marshal(value)} }

// Del is the change that removes key.
func Del(key string) Change { return Change{Key: key, Delete: true} }

// Ext is a further field of an answer, beside its value.
type Ext struct {
	Name  string
	Value any
}
