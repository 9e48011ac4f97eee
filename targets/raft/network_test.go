package raft

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	mrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/node"
)

// network is a small world: nodes whose messages arrive in order and after a
// millisecond, unless they are down or cut off. The simulator is the unkind
// one; this one is for telling a node exactly what happens to it.
type network struct {
	t       testing.TB
	options node.Options
	ids     []node.ID
	now     time.Duration
	hosts   map[node.ID]*host
	cut     map[node.ID]bool // hears nobody, and nobody hears it
	lose    func(m any) bool // such a message gets lost; nil: none
	posts   []post
	chance  *mrand.ChaCha8
	answers map[string]string // by the name given to call
	history histories.Builder // of the records
}

type host struct {
	id      node.ID
	node    node.Node
	env     *node.Env
	slow    time.Duration // its clock shows the time divided by this
	disk    store
	synced  store
	timers  map[string]time.Duration
	calls   map[uint64]string
	request uint64
}

type post struct {
	at       time.Duration
	from, to node.ID
	body     []byte
}

type store map[string][]byte

func (s store) Read(key string) ([]byte, bool) { b, ok := s[key]; return b, ok }

func (s store) Keys(prefix string) (keys []string) {
	for _, k := range slices.Sorted(maps.Keys(s)) {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	return keys
}

// newNetwork boots n nodes with the given flags and the defaults of the others.
func newNetwork(t testing.TB, n int, bug string, flags ...string) *network {
	w := &network{
		t:       t,
		options: node.Options{Bug: bug, Flags: map[string]string{"reads": "log", "snapshot-every": "200", "pre-vote": "on"}},
		hosts:   map[node.ID]*host{},
		cut:     map[node.ID]bool{},
		chance:  mrand.NewChaCha8([32]byte{1}),
		answers: map[string]string{},
	}
	for i := 0; i < len(flags); i += 2 {
		w.options.Flags[flags[i]] = flags[i+1]
	}
	entropy := rand.Reader
	rand.Reader = w.chance
	t.Cleanup(func() {
		rand.Reader = entropy
		w.judge()
	})
	for i := range n {
		w.ids = append(w.ids, node.ID(fmt.Sprintf("n%d", i+1)))
	}
	for _, id := range w.ids {
		w.hosts[id] = &host{id: id, disk: store{}, slow: 1}
		w.boot(id)
	}
	return w
}

func (w *network) boot(id node.ID) {
	h := w.hosts[id]
	h.node, h.timers, h.calls = New(w.options), map[string]time.Duration{}, map[uint64]string{}
	h.env = node.NewEnv(node.Host{ID: id, Peers: w.ids, Codec: Messages, Disk: h.disk, Rand: func(string) *mrand.Rand { return mrand.New(w.chance) }})
	w.step(h, func() { h.node.Start(h.env) })
}

// crash ends a node's process. If power, what it had not synced is lost.
func (w *network) crash(id node.ID, power bool) {
	h := w.hosts[id]
	h.node = nil
	w.record(id, "crash", nil)
	if power {
		h.disk = maps.Clone(h.synced)
	}
}

func (w *network) step(h *host, f func()) {
	h.env.Begin(w.now/h.slow, w.now)
	f()
	for _, e := range h.env.End() {
		switch e.Kind {
		case node.Send:
			w.posts = append(w.posts, post{w.now + time.Millisecond, h.id, e.To, e.Body})
		case node.Answer:
			answer := string(e.Value)
			if !e.OK {
				answer = "fail: " + e.Error
			}
			w.answers[h.calls[e.Req]] = answer
		case node.SetTimer:
			delete(h.timers, e.Name)
			if e.After >= 0 {
				h.timers[e.Name] = w.now + e.After*h.slow
			}
		case node.Write:
			for _, c := range e.Changes {
				if c.Delete {
					delete(h.disk, c.Key)
				} else {
					h.disk[c.Key] = c.Value
				}
			}
		case node.Sync:
			h.synced = maps.Clone(h.disk)
		case node.Record:
			w.record(h.id, e.Name, e.Value)
		}
	}
}

func (w *network) record(id node.ID, f string, value json.RawMessage) {
	op := histories.Op{Time: histories.Time(w.now), Process: histories.Named(string(id)), Type: histories.Info, F: f, Value: value}
	if err := w.history.Add(op); err != nil {
		w.t.Fatal(err)
	}
}

// judge has the records of a node without a bug checked.
func (w *network) judge() {
	if w.options.Bug != "" {
		return
	}
	if r := checker.Raft(checker.RaftOptions{}).Check(context.Background(), w.history.History()); r.Verdict != checker.Valid {
		w.t.Errorf("the records are %s: %s %v", r.Verdict, r.Why, r.Anomalies)
	}
}

// run lets time pass.
func (w *network) run(d time.Duration) {
	for end := w.now + d; w.now < end; w.now += time.Millisecond {
		for len(w.posts) > 0 && w.posts[0].at <= w.now {
			p := w.posts[0]
			w.posts = w.posts[1:]
			h := w.hosts[p.to]
			if h.node == nil || p.from != p.to && (w.cut[p.from] || w.cut[p.to]) {
				continue
			}
			m, err := Messages.Decode(p.body)
			if err != nil {
				w.t.Fatal(err)
			}
			if w.lose != nil && w.lose(m) {
				continue
			}
			w.step(h, func() { h.node.Receive(h.env, p.from, m) })
		}
		for _, id := range w.ids {
			h := w.hosts[id]
			for _, name := range slices.Sorted(maps.Keys(h.timers)) {
				if h.node != nil && h.timers[name] <= w.now {
					delete(h.timers, name)
					w.step(h, func() { h.node.Timer(h.env, name) })
				}
			}
		}
	}
}

// call begins an operation at a node; its answer is kept under name.
func (w *network) call(name string, id node.ID, f, key, value string) {
	h := w.hosts[id]
	h.request++
	h.calls[h.request] = name
	r := node.Request{ID: h.request, F: f, Value: json.RawMessage(value)}
	if key != "" {
		r.Key = json.RawMessage(key)
	}
	w.step(h, func() { h.node.Request(h.env, r) })
}

// do is an operation, half a second and its answer.
func (w *network) do(id node.ID, f, key, value string) string {
	delete(w.answers, "do")
	w.call("do", id, f, key, value)
	w.run(500 * time.Millisecond)
	return w.answers["do"]
}

func (w *network) want(got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("got %q, want %q", got, want)
	}
}

func (w *network) replica(id node.ID) *replica { return w.hosts[id].node.(*replica) }

// leader is the node that leads in the latest term, of those not cut off.
func (w *network) leader() node.ID {
	w.t.Helper()
	var best node.ID
	for _, id := range w.ids {
		if w.hosts[id].node == nil || w.cut[id] || !w.replica(id).lead {
			continue
		}
		if best == "" || w.replica(id).term > w.replica(best).term {
			best = id
		}
	}
	if best == "" {
		w.t.Fatal("nobody leads")
	}
	return best
}

// other is a node that is none of those.
func (w *network) other(those ...node.ID) node.ID {
	return w.ids[slices.IndexFunc(w.ids, func(id node.ID) bool { return !slices.Contains(those, id) })]
}

// recorded counts the records f of a node.
func (w *network) recorded(id node.ID, f string) (n int) {
	for _, op := range w.history.History().All() {
		if op.Process == histories.Named(string(id)) && op.F == f {
			n++
		}
	}
	return n
}

// agree checks that all running nodes have applied as much to the same state.
func (w *network) agree() {
	w.t.Helper()
	first := w.replica(w.other())
	for _, id := range w.ids[1:] {
		if w.hosts[id].node == nil {
			continue
		}
		r := w.replica(id)
		if r.applied != first.applied || string(r.machine.encode(false)) != string(first.machine.encode(false)) {
			w.t.Errorf("%s has applied %d: %s\n%s has applied %d: %s", w.ids[0], first.applied, first.machine.encode(false), id, r.applied, r.machine.encode(false))
		}
	}
}
