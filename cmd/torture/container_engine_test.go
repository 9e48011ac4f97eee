package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/torture-harness/torture/docker"
)

// faultyEngine stands before the real engine and does one request wrong: the
// one with the number at, from 1; or all from there on, if for good.
type faultyEngine struct {
	path    string // of its socket
	wrong   string // one of wrongs
	at      int64
	forGood bool

	real  *httputil.ReverseProxy
	asked atomic.Int64
	over  chan struct{} // closed when the test is
	what  atomic.Value  // the request that was done wrong
}

// wrongs are what it does to a request.
var wrongs = []string{
	"hang",      // nothing happens, and nothing is answered
	"hang late", // it is done, and nothing is answered
	"slow",      // it is done after five seconds
	"cut",       // nothing happens, and the connection ends
	"cut late",  // it is done, and the connection ends within the answer
	"refuse",    // nothing happens, and the answer is an error
	"lie",       // nothing happens, and the answer is that all is well
}

func newFaultyEngine(t *testing.T, wrong string, at int64, forGood bool) *faultyEngine {
	t.Helper()
	info, err := docker.Available(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	scheme, address, _ := strings.Cut(info.Host, "://")
	dir, err := os.MkdirTemp("", "torture") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	e := &faultyEngine{path: filepath.Join(dir, "docker.sock"), wrong: wrong, at: at, forGood: forGood, over: make(chan struct{})}
	e.real = httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "docker"})
	e.real.FlushInterval = -1
	e.real.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	e.real.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, scheme, address)
	}}
	listener, err := net.Listen("unix", e.path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: e}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() {
		close(e.over)
		_ = server.Close()
		_ = os.RemoveAll(dir)
	})
	return e
}

func (e *faultyEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := e.asked.Add(1)
	if n < e.at || n > e.at && !e.forGood {
		e.real.ServeHTTP(w, r)
		return
	}
	e.what.CompareAndSwap(nil, fmt.Sprintf("request %d, %s %s", n, r.Method, r.URL.Path))
	switch e.wrong {
	case "hang":
		e.hang(r)
	case "hang late":
		e.real.ServeHTTP(&deaf{ResponseWriter: w}, r)
		e.hang(r)
	case "slow":
		select {
		case <-time.After(5 * time.Second):
		case <-e.over:
		}
		e.real.ServeHTTP(w, r)
	case "cut":
		panic(http.ErrAbortHandler)
	case "cut late":
		e.real.ServeHTTP(&deaf{ResponseWriter: w}, r)
		panic(http.ErrAbortHandler)
	case "refuse":
		http.Error(w, `{"message":"not today"}`, http.StatusInternalServerError)
	case "lie":
		_, _ = io.WriteString(w, "{}")
	}
}

func (e *faultyEngine) hang(r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // else the server does not notice that the client goes
	select {
	case <-r.Context().Done():
	case <-e.over:
	}
}

// deaf keeps an answer to itself.
type deaf struct{ http.ResponseWriter }

func (*deaf) Header() http.Header         { return http.Header{} }
func (*deaf) WriteHeader(int)             {}
func (*deaf) Write(b []byte) (int, error) { return len(b), nil }

// An engine that does one request wrong, or all from there on: the run ends all
// the same, with what it came to or with torture's own failure, and blames no
// node; nothing is left, or what clean removes. By default a few requests, spread over
// the run; with TORTURE_ENGINE=all each one that a run makes, in some way.
func TestContainersFaultyEngine(t *testing.T) {
	cli := engine(t)
	program, err := static()
	if err != nil {
		t.Fatal(err)
	}
	run := func(t *testing.T, e *faultyEngine) (done, string) {
		store := t.TempDir()
		p := start(t, program, []string{"DOCKER_HOST=unix://" + e.path}, "run", "total", "--world", "docker", "--nodes", "2", "--budget", "all",
			"--nemesis", "kill,pause,partition", "--time-limit", "4s", "--interval", "1s", "--recovery", "1s", "--timeout", "500ms", "--seed", "1", "--store", store)
		hangs := time.AfterFunc(3*time.Minute, func() { _ = p.Process.Kill() })
		defer hangs.Stop()
		d := p.wait(t)
		dirs, _ := filepath.Glob(filepath.Join(store, "*"))
		if len(dirs) != 1 { // it did not come so far
			d.want(t, exitFailed, "torture failed: no docker engine answers")
			return d, filepath.Join(store, "none")
		}
		return d, dirs[0]
	}
	whole := newFaultyEngine(t, "", 0, false)
	run(t, whole)
	requests := whole.asked.Load()
	type trial struct {
		at      int64
		wrong   string
		forGood bool
	}
	var trials []trial
	if os.Getenv("TORTURE_ENGINE") == "all" {
		for at := range requests {
			wrong := wrongs[int(at)%len(wrongs)]
			trials = append(trials, trial{at + 1, wrong, false}, trial{at + 1, "hang", true})
		}
	} else {
		trials = []trial{{requests / 4, "hang", true}, {requests / 3, "lie", false}, {requests / 2, "hang late", false}, {requests * 2 / 3, "cut", true}, {requests, "hang", false}}
	}
	slots := make(chan struct{}, 4)
	var all sync.WaitGroup
	defer all.Wait()
	for _, c := range trials {
		slots <- struct{}{}
		name := fmt.Sprintf("%d %s", c.at, c.wrong)
		if c.forGood {
			name += " for good"
		}
		all.Go(func() {
			defer func() { <-slots }()
			t.Run(name, func(t *testing.T) {
				e := newFaultyEngine(t, c.wrong, c.at, c.forGood)
				begun := time.Now()
				d, dir := run(t, e)
				t.Logf("%v: exit %d after %v", e.what.Load(), d.code, time.Since(begun).Round(time.Second))
				switch d.code {
				case exitValid, exitVacuous, exitUnknown:
				case exitFailed:
					if !strings.Contains(d.errors, "torture failed: ") {
						t.Errorf("it does not say why\n%s", d)
					}
				default:
					t.Errorf("%v: exit %d\n%s", e.what.Load(), d.code, d)
				}
				if c.forGood {
					do(t, "clean", dir).want(t, exitValid)
				}
				nothingLeft(t, cli, dir)
			})
		})
	}
}
