package node

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Disk is what a world keeps for a node. It shows every write performed,
// synced or not.
type Disk interface {
	Read(key string) ([]byte, bool)
	Keys(prefix string) []string // sorted
}

// Host is what a world lends to an Env.
type Host struct {
	ID    ID
	Peers []ID // all nodes, this one included, in a fixed order
	Codec Codec
	Disk  Disk
	// Rand returns the randomness of the named decision. It is valid until
	// the step ends.
	Rand func(name string) *rand.Rand
}

// Env is what a node sees and does during one step. It performs nothing: it
// records effects, and the world performs them in that order. It is valid
// only during the step; recording an effect later panics. What an effect was
// given, such as a []byte, must not be changed afterwards: it is not copied.
type Env struct {
	ID    ID
	Peers []ID // all nodes, this one included, in a fixed order

	// Now is the node's monotonic clock. It never goes back, timers follow
	// it, and a fault may make it drift. Leases use it.
	Now time.Duration
	// Wall is the node's idea of the time of day, since the Unix epoch. A
	// fault may make it jump, back too.
	Wall time.Duration

	host  Host
	out   []Effect
	disk  bool // some effect is a Write
	alive bool
}

// NewEnv makes the environment of one life of a node, for worlds.
func NewEnv(h Host) *Env { return &Env{ID: h.ID, Peers: h.Peers, host: h} }

// Begin starts a step, for worlds. The effects of the step before are void.
func (e *Env) Begin(now, wall time.Duration) {
	e.Now, e.Wall, e.out, e.disk, e.alive = now, wall, e.out[:0], false, true
}

// End ends the step, for worlds, and returns what it asked for, in order. The
// slice is valid until the next Begin; what it refers to stays valid.
func (e *Env) End() []Effect {
	e.alive = false
	return e.out
}

func (e *Env) add(f Effect) {
	if !e.alive {
		panic("node: Env used after its step")
	}
	e.out = append(e.out, f)
}

// Send sends m to a node; to itself too, through the network.
func (e *Env) Send(to ID, m any) {
	e.add(Effect{Kind: Send, To: to, Body: e.host.Codec.Append(nil, m)})
}

// Broadcast sends m to every node, this one included.
func (e *Env) Broadcast(m any) { e.broadcast(m, true) }

// BroadcastOthers sends m to every node but this one.
func (e *Env) BroadcastOthers(m any) { e.broadcast(m, false) }

func (e *Env) broadcast(m any, self bool) {
	body := e.host.Codec.Append(nil, m)
	for _, p := range e.Peers {
		if self || p != e.ID {
			e.add(Effect{Kind: Send, To: p, Body: body})
		}
	}
}

// Reply tells r's client that its operation took effect, with this result.
func (e *Env) Reply(r Request, value any, ext ...Ext) {
	f := Effect{Kind: Answer, OK: true, Req: r.ID, Value: marshalJSON(value)}
	if len(ext) > 0 {
		f.Ext = make(map[string]json.RawMessage, len(ext))
		for _, x := range ext {
			f.Ext[x.Name] = marshalJSON(x.Value)
		}
	}
	e.add(f)
}

// Fail tells r's client that its operation has not taken effect and never
// will. A node that is not sure must stay silent.
func (e *Env) Fail(r Request, why string) {
	e.add(Effect{Kind: Answer, Req: r.ID, Error: why})
}

// After sets the timer name to fire once, d from now on this node's clock, in
// place of any timer of that name. A year is the longest: nobody waits to see
// it fire, and the arithmetic of clocks has room.
func (e *Env) After(d time.Duration, name string) {
	e.add(Effect{Kind: SetTimer, Name: name, After: min(max(d, 0), year)})
}

const year = 365 * 24 * time.Hour

// Cancel removes the timer name, if it is set.
func (e *Env) Cancel(name string) { e.add(Effect{Kind: SetTimer, Name: name, After: -1}) }

// Write stores value under key, not yet durably: a []byte as it is, anything
// else as JSON.
func (e *Env) Write(key string, value any) { e.Batch(Put(key, value)) }

// Delete removes key from the disk, not yet durably.
func (e *Env) Delete(key string) { e.Batch(Del(key)) }

// Batch applies all changes or, if a crash comes between, none.
func (e *Env) Batch(changes ...Change) {
	e.add(Effect{Kind: Write, Changes: changes})
	e.disk = true
}

// Sync makes all writes so far durable before any later effect happens.
func (e *Env) Sync() { e.add(Effect{Kind: Sync}) }

// Record puts a record into the history, as this node's: something the node
// did that no client sees.
func (e *Env) Record(f string, value any) {
	e.add(Effect{Kind: Record, Name: f, Value: marshalJSON(value)})
}

// Role announces the node's role, such as leader or primary, and since which
// term it has it. Nemeses aim by it.
func (e *Env) Role(role string, term uint64) {
	e.add(Effect{Kind: Role, Name: role, Term: term})
}

// Rand returns the randomness of the named decision. Decisions of different
// names do not disturb each other. Use it at once; it is void after the step.
func (e *Env) Rand(name string) *rand.Rand { return e.host.Rand(name) }

// Read decodes the value under key into v and reports whether there is one. It
// sees every earlier write, of this step too. A *[]byte takes the bytes as
// they are; they must not be changed.
func (e *Env) Read(key string, v any) bool {
	b, ok := e.read(key)
	if ok {
		if err := unmarshal(b, v); err != nil {
			panic(fmt.Sprintf("disk key %s: decode %T: %v", key, v, err))
		}
	}
	return ok
}

func (e *Env) read(key string) ([]byte, bool) {
	if e.disk {
		for _, f := range slices.Backward(e.out) {
			for _, c := range slices.Backward(f.Changes) {
				if c.Key == key {
					return c.Value, !c.Delete
				}
			}
		}
	}
	return e.host.Disk.Read(key)
}

// Keys returns the keys on disk with the given prefix, sorted.
func (e *Env) Keys(prefix string) []string {
	keys := e.host.Disk.Keys(prefix)
	if !e.disk {
		return keys
	}
	keys = slices.Clone(keys)
	for _, f := range e.out {
		for _, c := range f.Changes {
			if !strings.HasPrefix(c.Key, prefix) {
				continue
			}
			i, found := slices.BinarySearch(keys, c.Key)
			switch {
			case found && c.Delete:
				keys = slices.Delete(keys, i, i+1)
			case !found && !c.Delete:
				keys = slices.Insert(keys, i, c.Key)
			}
		}
	}
	return keys
}
