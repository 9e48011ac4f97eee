// Package transcript plays scripts with a small cluster of nodes, for tests
// that say exactly what happens to them, in which order, and read what they
// do. The simulator is for everything else.
//
// A script is a file for package datadriven. Its commands, with node ids as
// arguments and flags of the target as name=value:
//
//	cluster n1 n2 n3 [bug=…]   boots a new cluster
//	call n1                    clients' operations: lines of F, [KEY VALUE] or
//	                           [VALUE], which are JSON without spaces
//	deliver [n1] [n1->n2]      messages on the way arrive, and those they cause
//	drop [n1] [n1->n2]         messages on the way are lost
//	reverse [n1] [n1->n2]      messages on the way will arrive in reverse order
//	tick [n1]                  timers fire
//	kill n1 [after=K]          the process dies; after K more effects of its
//	power n1 [after=K]         likewise, and what was not synced is lost
//	boot n1                    it starts again
//
// Without a node or a link a command is about all. What is printed are the
// effects in the order in which they are performed.
package transcript

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/torture-harness/torture/node"
)

// Run plays all scripts in a directory with nodes made by newNode, which speak
// codec.
func Run(t *testing.T, dir string, codec node.Codec, newNode func(node.Options) node.Node) {
	datadriven.Walk(t, dir, func(t *testing.T, path string) {
		c := &cluster{codec: codec, newNode: newNode}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			c.out.Reset()
			if err := c.command(d); err != nil {
				d.Fatalf(t, "%v", err)
			}
			return c.out.String()
		})
	})
}

type cluster struct {
	codec   node.Codec
	newNode func(node.Options) node.Node
	options node.Options
	ids     []node.ID
	members map[node.ID]*member
	posts   []post // on the way
	now     time.Duration
	out     strings.Builder
}

type member struct {
	id       node.ID
	node     node.Node // nil: down
	env      *node.Env
	disk     store
	synced   store
	timers   []string // set, sorted
	requests uint64
	doom     int // > 0: effects left before it dies
	power    bool
}

type post struct {
	from, to node.ID
	body     []byte
}

type store map[string][]byte

func (s store) Read(key string) ([]byte, bool) { b, ok := s[key]; return b, ok }

func (s store) Keys(prefix string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(s)), func(k string) bool { return !strings.HasPrefix(k, prefix) })
}

func (c *cluster) command(d *datadriven.TestData) error {
	if d.Cmd == "cluster" {
		c.begin(d.CmdArgs)
		return nil
	}
	nodes, after, on := c.ids, 0, func(post) bool { return true }
	for _, arg := range d.CmdArgs {
		from, to, link := strings.Cut(arg.Key, "->")
		switch id := node.ID(arg.Key); {
		case link:
			on = func(p post) bool { return string(p.from) == from && string(p.to) == to }
		case c.members[id] != nil:
			nodes = []node.ID{id}
			on = func(p post) bool { return p.from == id || p.to == id }
		case arg.Key == "after" && len(arg.Vals) == 1:
			n, err := strconv.Atoi(arg.Vals[0])
			if err != nil {
				return err
			}
			after = n
		default:
			return fmt.Errorf("%s: there is no node, link or option %s", d.Cmd, arg)
		}
	}
	switch d.Cmd {
	case "deliver", "drop", "reverse":
		c.network(d.Cmd, on)
		return nil
	}
	for _, id := range nodes {
		m := c.members[id]
		switch d.Cmd {
		case "call":
			for line := range strings.Lines(d.Input) {
				if err := c.call(m, strings.Fields(line)); err != nil {
					return err
				}
			}
		case "tick":
			c.tick(m)
		case "kill", "power":
			m.power, m.doom = d.Cmd == "power", after
			if after == 0 {
				c.crash(m)
			}
		case "boot":
			c.boot(m)
		default:
			return fmt.Errorf("there is no command %q", d.Cmd)
		}
	}
	return nil
}

func (c *cluster) begin(args []datadriven.CmdArg) {
	c.options = node.Options{Flags: map[string]string{}}
	c.ids, c.members, c.posts = nil, map[node.ID]*member{}, nil
	for _, arg := range args {
		switch {
		case len(arg.Vals) == 0:
			c.ids = append(c.ids, node.ID(arg.Key))
		case arg.Key == "bug":
			c.options.Bug = arg.Vals[0]
		default:
			c.options.Flags[arg.Key] = arg.Vals[0]
		}
	}
	for _, id := range c.ids {
		c.members[id] = &member{id: id, disk: store{}, synced: store{}}
		c.boot(c.members[id])
	}
}

// network does something to the messages on the way that on wants.
func (c *cluster) network(what string, on func(post) bool) {
	switch what {
	case "deliver":
		for i := slices.IndexFunc(c.posts, on); i >= 0; i = slices.IndexFunc(c.posts, on) {
			p := c.posts[i]
			c.posts = slices.Delete(c.posts, i, i+1)
			c.receive(p)
		}
	case "drop":
		c.posts = slices.DeleteFunc(c.posts, on)
	case "reverse":
		var at []int
		for i, p := range c.posts {
			if on(p) {
				at = append(at, i)
			}
		}
		for i := range len(at) / 2 {
			a, b := at[i], at[len(at)-1-i]
			c.posts[a], c.posts[b] = c.posts[b], c.posts[a]
		}
	}
}

func (c *cluster) tick(m *member) {
	c.now += 100 * time.Millisecond
	timers := m.timers
	m.timers = nil
	for _, name := range timers {
		c.step(m, func() { m.node.Timer(m.env, name) })
	}
}

func (c *cluster) call(m *member, words []string) error {
	m.requests++
	r := node.Request{ID: m.requests, F: words[0]}
	if len(words) > 2 {
		r.Key = json.RawMessage(words[1])
	}
	if len(words) > 1 {
		r.Value = json.RawMessage(words[len(words)-1])
	}
	for _, raw := range []json.RawMessage{r.Key, r.Value} {
		if raw != nil && !json.Valid(raw) {
			return fmt.Errorf("call: %s is not JSON", raw)
		}
	}
	c.step(m, func() { m.node.Request(m.env, r) })
	return nil
}

func (c *cluster) boot(m *member) {
	m.node, m.timers, m.requests, m.doom = c.newNode(c.options), nil, 0, 0
	m.env = node.NewEnv(node.Host{ID: m.id, Peers: c.ids, Codec: c.codec, Disk: m.disk})
	c.step(m, func() { m.node.Start(m.env) })
}

func (c *cluster) crash(m *member) {
	m.node, m.doom = nil, 0
	if m.power {
		m.disk = maps.Clone(m.synced)
	}
	fmt.Fprintf(&c.out, "%s dies\n", m.id)
}

func (c *cluster) receive(p post) {
	m := c.members[p.to]
	v, err := c.codec.Decode(p.body)
	if err != nil {
		panic(err)
	}
	c.step(m, func() { m.node.Receive(m.env, p.from, v) })
}

func (c *cluster) step(m *member, handle func()) {
	if m.node == nil {
		return
	}
	m.env.Begin(c.now, c.now)
	handle()
	for _, e := range m.env.End() {
		c.perform(m, e)
		if m.doom--; m.doom == 0 {
			c.crash(m)
			return
		}
		m.doom = max(m.doom, 0)
	}
}

func (c *cluster) perform(m *member, e node.Effect) {
	switch e.Kind {
	case node.Send:
		c.posts = append(c.posts, post{m.id, e.To, e.Body})
		fmt.Fprintf(&c.out, "%s -> %s: %s %s\n", m.id, e.To, c.codec.Name(e.Body), e.Body[1:])
	case node.Answer:
		if !e.OK {
			fmt.Fprintf(&c.out, "%s fails %d: %s\n", m.id, e.Req, e.Error)
			break
		}
		fmt.Fprintf(&c.out, "%s answers %d: %s", m.id, e.Req, e.Value)
		for _, name := range slices.Sorted(maps.Keys(e.Ext)) {
			fmt.Fprintf(&c.out, " %s=%s", name, e.Ext[name])
		}
		fmt.Fprintln(&c.out)
	case node.SetTimer:
		m.timers = slices.DeleteFunc(m.timers, func(t string) bool { return t == e.Name })
		if e.After >= 0 {
			m.timers = append(m.timers, e.Name)
			slices.Sort(m.timers)
		}
	case node.Write:
		for _, ch := range e.Changes {
			if ch.Delete {
				delete(m.disk, ch.Key)
				fmt.Fprintf(&c.out, "%s deletes %s\n", m.id, ch.Key)
			} else {
				m.disk[ch.Key] = ch.Value
				fmt.Fprintf(&c.out, "%s writes %s\n", m.id, ch.Key)
			}
		}
	case node.Sync:
		m.synced = maps.Clone(m.disk)
		fmt.Fprintf(&c.out, "%s syncs\n", m.id)
	case node.Record:
		fmt.Fprintf(&c.out, "%s records %s %s\n", m.id, e.Name, e.Value)
	case node.Role:
		fmt.Fprintf(&c.out, "%s is %s in term %d\n", m.id, e.Name, e.Term)
	}
}
