package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/torture-harness/torture/node"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
)

// toy is a node for tests: a counter on disk, and copies of it at its peers.
type toy struct {
	n       int
	waiting map[int]waiting
	pending map[int]node.Request
	gate    chan struct{}
}

type waiting struct {
	req  node.Request
	acks map[node.ID]bool
}

type (
	put  struct{ Seq, Value int }
	ack  struct{ Seq int }
	bomb struct{}
)

var toyMessages = node.Messages(put{}, ack{}, bomb{}, mine{})

// mine is a message whose decoder panics.
type mine struct{}

func (mine) AppendBinary(b []byte) ([]byte, error) { return b, nil }
func (*mine) UnmarshalBinary([]byte) error         { panic("decoder went off") }

func newToy() node.Node { return &toy{waiting: map[int]waiting{}, pending: map[int]node.Request{}} }

// seenMax is how many counts a toy remembers.
const seenMax = 50

func seen(n int) string { return fmt.Sprintf("seen/%08d", n) }

func (t *toy) Start(env *node.Env) {
	env.Read("n", &t.n)
	env.Role("toy", uint64(t.n))
}

func (t *toy) Request(env *node.Env, r node.Request) {
	switch r.F {
	case "echo":
		env.Reply(r, r.Value, node.Ext{Name: "key", Value: r.Key})
	case "fail":
		env.Fail(r, "no: \"never\"")
	case "silent":
	case "hold":
		t.pending[0] = r
	case "release":
		env.Reply(t.pending[0], nil)
		env.Reply(r, nil)
	case "panic":
		panic("boom")
	case "record":
		env.Record("seen", r.Value)
		env.Reply(r, nil)
	case "clocks":
		env.Reply(r, []time.Duration{env.Now, env.Wall})
	case "timer": // answers after that many ms on its clock
		var ms int
		if err := r.Decode(&ms); err != nil {
			env.Fail(r, err.Error())
			return
		}
		t.pending[int(r.ID)] = r
		env.After(time.Duration(ms)*time.Millisecond, fmt.Sprint(r.ID))
	case "write", "sync": // counts, and remembers the last counts under keys of their own
		t.n++
		env.Batch(node.Put("n", t.n), node.Put(seen(t.n), t.n), node.Del(seen(t.n-seenMax)))
		if r.F == "sync" {
			env.Sync()
		}
		env.Record("wrote", t.n)
		env.Reply(r, t.n)
	case "read":
		env.Reply(r, t.n, node.Ext{Name: "key", Value: env.Keys("seen/")})
	case "replicate": // answered when a majority has synced it
		t.n++
		env.Write("n", t.n)
		env.Sync()
		t.waiting[t.n] = waiting{r, map[node.ID]bool{env.ID: true}}
		env.Record("sent", t.n)
		env.BroadcastOthers(put{t.n, t.n})
	case "tell":
		var what struct {
			To   node.ID
			What string
		}
		if err := r.Decode(&what); err != nil {
			env.Fail(r, err.Error())
			return
		}
		if what.What == "mine" {
			env.Send(what.To, mine{})
		} else {
			env.Send(what.To, bomb{})
		}
		env.Reply(r, nil)
	case "block": // until the test lets it go
		<-t.gate
		env.Reply(r, nil)
	default:
		env.Fail(r, "unknown")
	}
}

func (t *toy) Receive(env *node.Env, from node.ID, m any) {
	switch m := m.(type) {
	case put:
		env.Record("got", m.Value)
		env.Write(fmt.Sprintf("copy/%s", from), m.Value)
		env.Sync()
		env.Send(from, ack{m.Seq})
	case ack:
		w, ok := t.waiting[m.Seq]
		if !ok {
			return
		}
		w.acks[from] = true
		if len(w.acks) > len(env.Peers)/2 {
			delete(t.waiting, m.Seq)
			env.Record("acked", m.Seq)
			env.Reply(w.req, m.Seq)
		}
	case bomb:
		panic("bombed")
	}
}

func (t *toy) Timer(env *node.Env, name string) {
	var id int
	fmt.Sscan(name, &id)
	env.Reply(t.pending[id], nil)
}

// cluster is nodes in this process, over loopback.
type cluster struct {
	t     testing.TB
	nodes map[node.ID]*member
	ids   []node.ID
}

type member struct {
	t    testing.TB
	cfg  Config
	url  string
	http *http.Client // its own: a connection to an earlier life is of no use
	stop context.CancelFunc
	done chan struct{}
	err  error
}

// newCluster starts n toys; edit may change their configuration.
func newCluster(t testing.TB, n int, edit func(*Config)) *cluster {
	c := &cluster{t: t, nodes: map[node.ID]*member{}}
	addrs, lns := map[node.ID]string{}, map[node.ID]net.Listener{}
	for i := range n {
		id := node.ID(fmt.Sprintf("n%d", i+1))
		lns[id] = listenLocal(t, "127.0.0.1:0")
		c.ids, addrs[id] = append(c.ids, id), lns[id].Addr().String()
	}
	for _, id := range c.ids {
		cfg := Config{ID: id, Peers: c.ids, Addrs: addrs, PeerListener: lns[id], HTTPListener: listenLocal(t, "127.0.0.1:0"),
			Dir: t.TempDir(), New: newToy, Messages: toyMessages, NoFsync: true}
		if _, bench := t.(*testing.B); !bench {
			cfg.Log = zaptest.NewLogger(t, zaptest.Level(zap.InfoLevel))
		}
		if edit != nil {
			edit(&cfg)
		}
		c.nodes[id] = start(t, cfg)
	}
	return c
}

func listenLocal(t testing.TB, addr string) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func start(t testing.TB, cfg Config) *member {
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{t: t, cfg: cfg, url: "http://" + cfg.HTTPListener.Addr().String(), http: &http.Client{Transport: &http.Transport{}},
		stop: cancel, done: make(chan struct{})}
	go func() {
		m.err = Run(ctx, cfg)
		close(m.done)
	}()
	t.Cleanup(func() {
		m.end()
		m.http.CloseIdleConnections()
	})
	return m
}

// end stops the node and returns what its Run returned.
func (m *member) end() error {
	m.stop()
	<-m.done
	return m.err
}

// restart starts the node again, on the same addresses.
func (m *member) restart() *member {
	m.t.Helper()
	m.end()
	cfg := m.cfg
	cfg.PeerListener = listenLocal(m.t, cfg.PeerListener.Addr().String())
	cfg.HTTPListener = listenLocal(m.t, cfg.HTTPListener.Addr().String())
	return start(m.t, cfg)
}

// try sends a request and decodes the answer into v. It returns the status, or
// an error if there was no answer.
func (m *member) try(method, path, body string, v any) (int, error) {
	return try(m.http, m.url, method, path, body, v)
}

func try(client *http.Client, url, method, path, body string, v any) (int, error) {
	req, err := http.NewRequest(method, url+path, bytes.NewBufferString(body))
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && v != nil {
		if err = json.Unmarshal(b, v); err != nil {
			err = fmt.Errorf("%s %s answered %q: %w", method, path, b, err)
		}
	}
	return resp.StatusCode, err
}

// do is try that must succeed.
func (m *member) do(method, path, body string, v any) {
	m.t.Helper()
	var raw json.RawMessage
	status, err := m.try(method, path, body, &raw)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d: %s", status, raw)
	}
	if err == nil && v != nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		m.t.Fatalf("%s %s %s %s: %v", m.cfg.ID, method, path, body, err)
	}
}

type result struct {
	Type    string
	Value   json.RawMessage
	Key     json.RawMessage
	Error   string
	Lamport uint64
}

func (m *member) op(body string) (r result) {
	m.t.Helper()
	m.do("POST", "/op", body, &r)
	return r
}

// eventually waits for ok, for long: it fails only if that never comes.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

// linked waits until every node reaches every other.
func (c *cluster) linked() {
	c.t.Helper()
	for _, id := range c.ids {
		for _, to := range c.ids {
			c.nodes[id].reaches(to)
		}
	}
}

// reaches waits until a ping of to is answered.
func (m *member) reaches(to node.ID) {
	m.t.Helper()
	eventually(m.t, fmt.Sprintf("a pong from %s at %s", to, m.cfg.ID), func() bool {
		var p struct{ Pong bool }
		m.do("GET", "/peers/"+string(to)+"/ping?timeout=200ms", "", &p)
		return p.Pong
	})
}
