package docker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/torture-harness/torture/docker/agent"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
)

// fakeWorld is a world of the nodes n1, n2 and n3, which are up, whose engine
// is a function and whose agents are another. Without a function the engine
// knows no container, and agents say yes.
func fakeWorld(t *testing.T, engine http.HandlerFunc, agents func(node string, r agent.Request) agent.Response) *World {
	t.Helper()
	if engine == nil {
		engine = http.NotFound
	}
	if agents == nil {
		agents = func(string, agent.Request) agent.Response { return agent.Response{} }
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		if !strings.HasSuffix(r.URL.Path, "/_ping") {
			engine(w, r)
		}
	}))
	t.Cleanup(server.Close)
	t.Setenv("DOCKER_HOST", "tcp://"+server.Listener.Addr().String())
	w, err := newWorld(Config{RunID: "fake", Dir: t.TempDir(), Nodes: three})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.cancel()
		w.working.Wait()
		w.cli.Close()
	})
	for _, m := range w.members {
		m.nodeID, m.agentID = m.name, m.name+"-agent"
		m.state, m.life, m.exited = running, 1, make(chan struct{})
		m.link = fakeLink(t, m, func(r agent.Request) agent.Response { return agents(m.name, r) })
	}
	return w
}

// fakeLink leads to an agent that is a function.
func fakeLink(t *testing.T, m *member, serve func(agent.Request) agent.Response) *link {
	near, far := net.Pipe()
	conn := types.HijackedResponse{Conn: near, Reader: bufio.NewReader(near)}
	l := &link{cli: m.w.cli, id: m.agentID, records: m.records.add, lost: m.desert, conn: &conn, open: map[uint64]chan<- agent.Response{}}
	go l.listen(conn)
	t.Cleanup(l.close)
	go func() {
		var writing sync.Mutex
		out := stdcopy.NewStdWriter(far, stdcopy.Stdout)
		for s := bufio.NewScanner(far); s.Scan(); {
			var r agent.Request
			if err := json.Unmarshal(s.Bytes(), &r); err != nil {
				t.Errorf("the agent of %s is told %q: %v", m.name, s.Bytes(), err)
			}
			go func() {
				resp := serve(r)
				resp.ID = r.ID
				writing.Lock()
				defer writing.Unlock()
				_, _ = out.Write(append(histories.Encode(resp), '\n')) // the test may be over
			}()
		}
	}()
	return l
}

// through is what an agent says of a probe when everything arrives, or nothing;
// its node is well.
func through(node string, r agent.Request, arrives bool) agent.Response {
	if r.Probe == nil {
		return agent.Response{Answer: &agent.Answer{Status: http.StatusOK, Body: histories.Encode(health{ID: node, Ready: true})}}
	}
	l := agent.Link{Peer: r.Probe.To[0], Sent: r.Probe.Count, Dialed: "timeout"}
	if arrives {
		l.Got, l.Dialed = l.Sent, "connected"
	}
	return agent.Response{Links: []agent.Link{l}}
}

func seen(t *testing.T, w *World, f nemesis.Fault, inForce bool) nemesis.Evidence {
	t.Helper()
	e := nemesis.Evidence{ID: f.ID, Kind: f.Kind}
	w.observe(t.Context(), f, inForce, &e)
	return e.Conclude()
}

// An engine that answers and then hangs does not hang torture.
func TestEngineThatHangs(t *testing.T) {
	program, err := testnode()
	if err != nil {
		t.Fatal(err)
	}
	for name, hangs := range map[string]string{"at the image": "/images/", "at the network": "/networks/create", "at the containers": "/containers/create"} {
		t.Run(name, func(t *testing.T) {
			w := fakeWorld(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.Contains(r.URL.Path, hangs):
					_, _ = io.Copy(io.Discard, r.Body) // else the server does not notice that the client goes
					<-r.Context().Done()
				case r.Method == http.MethodGet:
					_, _ = io.WriteString(w, "{}")
				default:
					w.WriteHeader(http.StatusCreated)
					_, _ = io.WriteString(w, `{"Id":"x"}`)
				}
			}, nil)
			w.cfg.Binary, w.patience = program, 50*time.Millisecond
			err := w.bring(t.Context(), w.up)
			if err == nil || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "not up after 50ms") {
				t.Errorf("error %v: want one that says how long was waited", err)
			}
		})
	}
}

// A partition is seen on a link that it cuts, not on one that nobody cuts.
func TestEmptyPartition(t *testing.T) {
	w := fakeWorld(t, nil, func(node string, r agent.Request) agent.Response { return through(node, r, true) })
	for _, drop := range []map[string][]string{{"n1": {}}, {"n1": {"n1"}}} {
		f := fault("p", nemesis.Partition, nemesis.Params{Drop: drop})
		if err := w.take(f); err != nil {
			t.Fatal(err)
		}
		w.enacted()
		if e := seen(t, w, f, true); e.Verified {
			t.Errorf("a partition that cuts nothing (%v) is verified: %+v", drop, e)
		}
		if _, err := w.drop(f.ID); err != nil {
			t.Fatal(err)
		}
		w.enacted()
	}
}

// A one-way cut is one if messages pass the other way; and if something was sent.
func TestOneWay(t *testing.T) {
	f := fault("p", nemesis.Partition, nemesis.Params{Drop: map[string][]string{"n1": {"n2"}}})
	for _, c := range []struct {
		name  string
		links map[string]agent.Link // from>to
		want  bool
	}{
		{"one way", nil, true},
		{"both ways", map[string]agent.Link{"n1>n2": {Dialed: "timeout"}}, false},
		{"the other way", map[string]agent.Link{"n1>n2": {Dialed: "timeout"}, "n2>n1": {Got: 5, Dialed: "connected"}}, false},
		{"messages pass, and calls do not", map[string]agent.Link{"n2>n1": {Got: 5, Dialed: "timeout"}}, false},
		{"nothing could be called", map[string]agent.Link{"n2>n1": {Dialed: "no route to host"}}, false},
		{"nothing could be sent", map[string]agent.Link{"n2>n1": {Sent: -1, Dialed: "timeout"}}, false},
	} {
		w := fakeWorld(t, nil, func(node string, r agent.Request) agent.Response {
			if r.Probe == nil {
				return through(node, r, true)
			}
			way := node + ">" + r.Probe.To[0]
			l, ok := c.links[way]
			if !ok {
				return through(node, r, way != "n2>n1")
			}
			l.Sent += r.Probe.Count
			if l.Sent < r.Probe.Count {
				l.Sent = 0
			}
			return agent.Response{Links: []agent.Link{l}}
		})
		w.leases = leases{f}
		if e := seen(t, w, f, true); e.Verified != c.want {
			t.Errorf("%s: verified %v: %+v", c.name, e.Verified, e)
		}
	}
}

// A clock is watched: what it says of its rate counts for nothing.
func TestClockIsWatched(t *testing.T) {
	for _, c := range []struct {
		runs, says float64
		want       bool
	}{{1.1, 1.1, true}, {1, 1.1, false}, {1.1, 1, true}, {0.9, 1.1, false}} {
		begun := time.Now()
		w := fakeWorld(t, nil, func(node string, r agent.Request) agent.Response {
			passed := time.Since(begun)
			own := time.Duration(float64(passed) * c.runs)
			reading := map[string]any{"now": own, "drifted": own - passed, "true_wall": passed, "wall": own, "rate": c.says}
			return agent.Response{Answer: &agent.Answer{Status: http.StatusOK, Body: histories.Encode(reading)}}
		})
		f := fault("d", nemesis.Clock, nemesis.Params{Shape: "drift", Drift: 0.1}, "n1")
		w.leases = leases{f}
		if e := seen(t, w, f, true); e.Verified != c.want {
			t.Errorf("a clock that runs at %v and says %v: %+v", c.runs, c.says, e)
		}
	}
}

// A node that nobody can call for another reason is not cut from its clients.
func TestDeadIsNotDeaf(t *testing.T) {
	w := fakeWorld(t, nil, func(node string, r agent.Request) agent.Response { return through(node, r, true) })
	m := w.byName["n1"]
	m.address = "127.0.0.1:1"
	if checks := m.seeDeaf(t.Context(), true); checks[0].OK {
		t.Errorf("a node that refuses calls is cut from its clients: %+v", checks)
	}
}

// A fault of which nothing could be seen is not verified, whatever hides it.
func TestHiddenInjection(t *testing.T) {
	w := fakeWorld(t, nil, nil)
	kill, jump := on(nemesis.Kill, "k", "n1"), fault("j", nemesis.Clock, nemesis.Params{Shape: "jump", Offset: ms}, "n1")
	w.byName["n1"].state = down
	w.leases = leases{kill}
	w.Invoke(nemesis.InjectOp(jump))
	op, ok, err := w.Wait(t.Context(), w.Now().Add(injectTimeout))
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	e, err := histories.Decode[nemesis.Evidence](op)
	if err != nil || op.Type != histories.Info || e.Verified || len(e.Holders) != 1 || !strings.Contains(op.Error, "k") {
		t.Errorf("a jump of a dead node's clock: %s %q %s, want it not verified and hidden by k", op.Type, op.Error, op.Value)
	}
}

// What gets through once is not cut, however silent it is afterwards.
func TestSilenceIsNotTriedAgain(t *testing.T) {
	var looks atomic.Int32
	w := fakeWorld(t, nil, func(node string, r agent.Request) agent.Response { return through(node, r, looks.Add(1) == 1) })
	f := fault("p", nemesis.Partition, nemesis.Params{Drop: map[string][]string{"n1": {"n2"}}})
	if c := w.seeLink(t.Context(), leases{f}, w.byName["n2"], w.byName["n1"], true); c.OK {
		t.Errorf("a link that carried every probe is cut: %+v", c)
	}
	client, visits := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if looks.Add(1) > 1 {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		_ = json.NewEncoder(w).Encode(health{ID: "n1", Ready: true})
	})), w.byName["n1"]
	defer client.Close()
	looks.Store(0)
	visits.address = client.Listener.Addr().String()
	if checks := visits.seeDeaf(t.Context(), true); checks[0].OK {
		t.Errorf("a node that answered a client is unreachable: %+v", checks)
	}
}

// Messages that are lost by chance are no sign of a cut, nor does it take them
// for one if a few tries fail.
func TestLinkUnderLoss(t *testing.T) {
	const loss = 0.6
	var looks atomic.Int32
	w := fakeWorld(t, nil, func(_ string, r agent.Request) agent.Response {
		if math.Pow(loss, float64(r.Probe.Count)) > 0.001 {
			t.Errorf("%d probes may all be lost", r.Probe.Count)
		}
		// Calls get through now and then, probes at other times.
		l := agent.Link{Peer: r.Probe.To[0], Sent: r.Probe.Count, Dialed: "timeout"}
		switch looks.Add(1) {
		case 2:
			l.Got = 1
		case 7:
			l.Dialed = "refused"
		}
		return agent.Response{Links: []agent.Link{l}}
	})
	ls := leases{fault("l", nemesis.Loss, nemesis.Params{Probability: loss}, "n1")}
	if c := w.seeLink(t.Context(), ls, w.byName["n2"], w.byName["n1"], false); !c.OK {
		t.Errorf("a lossy link is cut: %+v", c)
	}
}

// A link whose sender may send little, or that loses nearly everything, cannot
// be told from one that is cut.
func TestNarrowLink(t *testing.T) {
	w := fakeWorld(t, nil, func(node string, r agent.Request) agent.Response { return through(node, r, false) })
	cut := fault("p", nemesis.Partition, nemesis.Params{Drop: map[string][]string{"n1": {"n2"}}})
	for _, other := range []nemesis.Fault{
		fault("b", nemesis.Bandwidth, nemesis.Params{Rate: 1000}, "n2", "n3"),
		fault("l", nemesis.Loss, nemesis.Params{Probability: 1}, "n1", "n2", "n3"),
	} {
		for _, inForce := range []bool{true, false} {
			w.leases = leases{other}
			if inForce {
				w.leases = leases{other, cut}
			}
			if e := seen(t, w, cut, inForce); !slices.Equal(e.Holders, []string{other.ID}) || slices.ContainsFunc(e.Checks, func(c nemesis.Check) bool { return c.Node == "n1" }) {
				t.Errorf("in force %v, under %s: %+v, want it hidden", inForce, other.Kind, e)
			}
		}
	}
}

// An agent that is there and cannot be reached any more ends the world.
func TestLinkLost(t *testing.T) {
	w := fakeWorld(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/json") {
			io.WriteString(w, `{"State":{"Running":true},"NetworkSettings":{}}`)
			return
		}
		http.Error(w, `{"message":"not now"}`, http.StatusInternalServerError)
	}, nil)
	m := w.byName["n1"]
	m.link.mu.Lock()
	m.link.conn.Close()
	m.link.mu.Unlock()
	select {
	case <-w.gone:
	case <-time.After(10 * time.Second):
		t.Error("the world goes on without an agent")
	}
}

// Who asks an agent that takes no requests waits as long as he wanted, not for
// ever; nor does who closes the way to it.
func TestLinkStuck(t *testing.T) {
	w := fakeWorld(t, nil, nil)
	near, far := net.Pipe()
	defer far.Close()
	l := &link{cli: w.cli, conn: &types.HijackedResponse{Conn: near, Reader: bufio.NewReader(near)}, open: map[uint64]chan<- agent.Response{}}
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan error)
	go func() {
		_, err := l.ask(ctx, agent.Request{Able: true})
		asked <- err
	}()
	if _, err := far.Read(make([]byte, 1)); err != nil { // it has begun
		t.Fatal(err)
	}
	cancel()
	select {
	case err := <-asked:
		if err == nil {
			t.Error("an agent that heard one byte answers")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("who asks waits on")
	}
	l.close()
}
