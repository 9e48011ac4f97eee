package docker

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/torture-harness/torture/docker/agent"
	"github.com/torture-harness/torture/nemesis"
)

// A clock that may have been set, though nobody said so, is set right by the
// cure.
func TestClockUnknown(t *testing.T) {
	var fails atomic.Bool
	fails.Store(true)
	puts := make(chan string, 10)
	w := fakeWorld(t, nil, func(node string, r agent.Request) agent.Response {
		if r.Call != nil && r.Call.Method == http.MethodPut {
			puts <- string(r.Call.Body)
			if fails.Load() {
				return agent.Response{Error: "timeout"}
			}
		}
		return through(node, r, true)
	})
	m := w.byName["n1"]
	w.leases = leases{fault("j", nemesis.Clock, nemesis.Params{Shape: "jump", Offset: ms}, "n1")}
	if err := m.setClocks(t.Context(), w.leases.clocks("n1")); err == nil {
		t.Error("no error from a clock that could not be set")
	}
	<-puts
	fails.Store(false)
	w.leases = nil
	if err := m.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case put := <-puts:
		if !strings.Contains(put, "[]") {
			t.Errorf("the cure puts %s", put)
		}
	default:
		t.Error("the cure leaves a clock as an injection that failed may have left it")
	}
}

// A node that ends the moment it is let go on stays ended.
func TestEndsUnpaused(t *testing.T) {
	for _, how := range []string{"stop", "unpause"} {
		var m *member
		w := fakeWorld(t, func(_ http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/unpause") {
				m.over(1, 0)
			}
		}, nil)
		m = w.byName["n1"]
		m.state = paused
		var err error
		if how == "stop" {
			err = m.stop(t.Context(), nil)
		} else {
			m.condemn("kill") // so that it is down, not broken
			err = m.unpause(t.Context())
		}
		if err != nil {
			t.Error(err)
		}
		if got := m.now(); got != down {
			t.Errorf("%s: a dead node is in state %v, want %v", how, got, down)
		}
	}
}

// A node that is stopped is not killed because other faults come and go; but when
// it is to be back, or killed.
func TestStopIsPatient(t *testing.T) {
	stop := on(nemesis.Stop, "s", "n1")
	for _, c := range []struct {
		leases leases
		killed bool
	}{
		{leases{stop, on(nemesis.Pause, "p", "n2")}, false},
		{leases{on(nemesis.Pause, "p", "n2")}, true},
		{leases{stop, on(nemesis.Kill, "k", "n1")}, true},
	} {
		var m *member
		var killed atomic.Bool
		w := fakeWorld(t, func(_ http.ResponseWriter, r *http.Request) {
			switch r.URL.Query().Get("signal") {
			case "SIGKILL":
				killed.Store(true)
				m.over(1, exitKilled)
			case "SIGTERM":
				if !c.killed {
					time.AfterFunc(50*time.Millisecond, func() { // an impatient stop is sooner
						if !killed.Load() {
							m.over(1, 0)
						}
					})
				}
			}
		}, nil)
		m = w.byName["n1"]
		w.leases = c.leases
		changed := make(chan struct{})
		close(changed)
		if err := m.stop(t.Context(), changed); err != nil || killed.Load() != c.killed {
			t.Errorf("with %v in force a node that is asked to stop is killed: %v, %v; want %v", c.leases.ids(), killed.Load(), err, c.killed)
		}
	}
}

// What was asked of the engine and not heard of is looked up before anything
// else is: here a pause, whose end comes next.
func TestPauseUnheard(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var frozen atomic.Bool
	w := fakeWorld(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/pause"):
			frozen.Store(true)
			cancel()
			<-r.Context().Done()
		case strings.HasSuffix(r.URL.Path, "/unpause"):
			frozen.Store(false)
		case strings.HasSuffix(r.URL.Path, "/json"):
			fmt.Fprintf(w, `{"State":{"Running":true,"Paused":%v},"NetworkSettings":{}}`, frozen.Load())
		}
	}, nil)
	m := w.byName["n1"]
	w.leases = leases{on(nemesis.Pause, "p", "n1")}
	if err := m.settle(ctx); err == nil {
		t.Error("no error from a pause that took too long")
	}
	w.leases = nil
	if err := m.settle(t.Context()); err != nil {
		t.Error(err)
	}
	if frozen.Load() {
		t.Error("the node is paused, and no lease is left that could be cured")
	}
}

// A start that fails leaves nobody who waits for the life that was none, or
// writes down what the next one says a second time.
func TestStartFails(t *testing.T) {
	left := make(chan string, 2)
	w := fakeWorld(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/attach"):
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(conn, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
			go func() {
				io.Copy(io.Discard, rw)
				left <- "attach"
			}()
		case strings.HasSuffix(r.URL.Path, "/wait"):
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
			left <- "wait"
		case strings.HasSuffix(r.URL.Path, "/start"):
			http.Error(w, `{"message":"not now"}`, http.StatusInternalServerError)
		}
	}, nil)
	m := w.byName["n1"]
	m.state = down
	if err := m.start(t.Context()); err == nil || !strings.Contains(err.Error(), "not now") {
		t.Errorf("start: %v", err)
	}
	if m.lives() != 1 || m.now() != down {
		t.Errorf("life %d, state %v after a start that failed", m.lives(), m.now())
	}
	for range 2 {
		select {
		case <-left:
		case <-time.After(10 * time.Second):
			t.Fatal("who waited for the life still does")
		}
	}
}

// A start that cannot even be followed is no life either.
func TestStartUnfollowed(t *testing.T) {
	w := fakeWorld(t, nil, nil)
	m := w.byName["n1"]
	m.state = down
	if err := m.start(t.Context()); err == nil || m.lives() != 1 {
		t.Errorf("start: %v, life %d", err, m.lives())
	}
}

// No fault makes a node panic: its exit code says so whatever was done to it.
func TestPanicOfTheDoomed(t *testing.T) {
	for _, c := range []struct {
		doom string
		code int
		want string
		then state
	}{
		{"stop", 0, "stop", down},
		{"stop", exitGo, "panic", down},
		{"kill", exitPanic, "panic", down},
		{"kill", 137, "kill", down},
		{"", exitGo, "panic", broken},
	} {
		w := fakeWorld(t, nil, nil)
		m := w.byName["n1"]
		m.doom = c.doom
		m.over(1, c.code)
		op, ok := w.out.take()
		if want := `{"kind":"` + c.want + `"}`; !ok || string(op.Value) != want || m.now() != c.then {
			t.Errorf("doomed by %q, code %d: crash %s, state %v; want %s, %v", c.doom, c.code, op.Value, m.now(), want, c.then)
		}
	}
}
