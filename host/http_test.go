package host

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/torture-harness/torture/node"
)

func TestOp(t *testing.T) {
	n1 := newCluster(t, 1, nil).nodes["n1"]
	tests := []struct{ body, want string }{
		{`{"f":"echo","key":"x","value":1}`, `{"type":"ok","value":1,"key":"x","lamport":`},
		{"{\"f\":\"echo\",\"value\":[1,\n {\"a b\": \"c\\n d\"}]}", `{"type":"ok","value":[1,{"a b":"c\n d"}],"key":null,"lamport":`},
		{`{"f":"echo","key":"\u003c","value":{"b":1.0,"a":"\u003c"}}`, `{"type":"ok","value":{"a":"<","b":1},"key":"<","lamport":`},
		{`{"f":"fail"}`, `{"type":"fail","error":"no: \"never\"","lamport":`},
		{`{"f":"sync"}`, `{"type":"ok","value":1,"lamport":`},
	}
	for _, tt := range tests {
		req, err := http.NewRequest("POST", n1.url+"/op", strings.NewReader(tt.body))
		must(t, err)
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		b := make([]byte, 1000)
		n, _ := resp.Body.Read(b)
		resp.Body.Close()
		if got := string(b[:n]); !strings.HasPrefix(got, tt.want) || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: got %s, want %s…", tt.body, got, tt.want)
		}
	}
	var first, second result
	first = n1.op(`{"f":"echo","lamport":9000000000000000000}`)
	second = n1.op(`{"f":"echo"}`)
	if first.Lamport <= 9e18 || second.Lamport <= first.Lamport {
		t.Errorf("Lamport times %d, %d do not follow that of the request", first.Lamport, second.Lamport)
	}
}

func TestHTTPErrors(t *testing.T) {
	c := newCluster(t, 1, func(c *Config) { c.AnswerTimeout = 20 * time.Millisecond })
	n1 := c.nodes["n1"]
	tests := []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"POST", "/op", ``, 400, "the body is empty: want an operation such as"},
		{"POST", "/op", `{"f":"write",`, 400, "unexpected EOF"},
		{"POST", "/op", `{"f":"write","vaule":1}`, 400, `unknown field "vaule"`},
		{"POST", "/op", `{"f":3}`, 400, "want an operation such as"},
		{"POST", "/op", `{"f":"echo","value":{"a":1,"a":2}}`, 400, `value {"a":1,"a":2}: member "a" appears twice: want an operation such as`},
		{"POST", "/op", `{"value":3}`, 400, "the operation has no f"},
		{"POST", "/op", `{"f":"echo"} {}`, 400, "goes on after"},
		{"POST", "/op", `{"f":"echo","lamport":18446744073709551615}`, 400, "too large"},
		{"POST", "/op", `{"f":"echo","value":"` + strings.Repeat("x", bodyMax) + `"}`, 400, "too large"},
		{"POST", "/op", `{"f":"silent"}`, 504, "n1 has not answered within 20ms"},
		{"GET", "/op", ``, 405, "/op takes POST, not GET"},
		{"GET", "/nonsense", ``, 404, "there is no /nonsense: want /op"},
		{"GET", "/peers/n9/ping", ``, 404, `there is no peer "n9": want one of [n1]`},
		{"GET", "/peers/n1/ping?timeout=1", ``, 400, "want a duration"},
		{"POST", "/probe", `{"to":"n1"}`, 400, "want a probe such as"},
		{"POST", "/probe", `{"to":"n9","nonce":"a"}`, 404, `there is no peer "n9"`},
		{"GET", "/probes?from=n9", ``, 404, `there is no peer "n9"`},
		{"GET", "/records?from=-1", ``, 400, "want an offset"},
		{"GET", "/records?from=999999", ``, 416, "bytes"},
		{"GET", "/records?wait=x", ``, 400, "want a duration"},
		{"POST", "/clock", `{}`, 400, "needs an id"},
		{"POST", "/clock", `{"id":"a","shape":"jump","offset":2}`, 400, "want a clock fault such as"},
		{"POST", "/clock", `{"id":"a","shape":"strobe","offset":"2s"}`, 400, "strobe with offset and period"},
		{"POST", "/clock", `{"id":"a","shape":"drift","drift":-1}`, 400, "drift in (-0.9, 10]"},
		{"PUT", "/clock", `{"leases":[{"id":"a"}]}`, 400, "want shape jump"},
		{"PUT", "/clock", `[]`, 400, `want {"leases":[`},
	}
	for _, tt := range tests {
		var got struct{ Error string }
		status, err := n1.try(tt.method, tt.path, tt.body, &got)
		must(t, err)
		if status != tt.status || !strings.Contains(got.Error, tt.want) {
			t.Errorf("%s %s %.60s: got %d %q, want %d with %q", tt.method, tt.path, tt.body, status, got.Error, tt.status, tt.want)
		}
	}
	var h health
	n1.do("GET", "/health", "", &h)
	if h.Counters["requests"] != 1 { // the silent one
		t.Errorf("%d requests reached the node, want 1", h.Counters["requests"])
	}
}

// TestForgets: the node's side of a request is gone once its client is.
func TestForgets(t *testing.T) {
	n1 := newCluster(t, 1, func(c *Config) { c.AnswerTimeout = 500 * time.Millisecond }).nodes["n1"]
	if status, err := n1.try("POST", "/op", `{"f":"hold"}`, nil); err != nil || status != 504 {
		t.Fatalf("got %d, %v", status, err)
	}
	n1.op(`{"f":"release"}`)
	var h health
	n1.do("GET", "/health", "", &h)
	if h.Counters["answers_unclaimed"] != 1 || h.Counters["answers"] != 1 {
		t.Errorf("got %v, want 1 answer, and 1 that nobody claimed", h.Counters)
	}
}

func TestClockAPI(t *testing.T) {
	n1 := newCluster(t, 1, nil).nodes["n1"]
	var r reading
	check := func(what string, leases int, offset time.Duration) {
		t.Helper()
		if len(r.Leases) != leases || r.Offset != offset || r.Wall-r.TrueWall != offset {
			t.Errorf("%s: got %+v, want %d leases and an offset of %s", what, r, leases, offset)
		}
		var got struct{ Value []time.Duration }
		n1.do("POST", "/op", `{"f":"clocks"}`, &got)
		if got.Value[0] < r.Now || got.Value[1] < r.Wall || got.Value[1] > r.Wall+time.Minute {
			t.Errorf("%s: the node's clocks show %v, the answer was %+v", what, got.Value, r)
		}
	}
	n1.do("POST", "/clock", `{"id":"a","shape":"jump","offset":"-1h"}`, &r)
	check("jump", 1, -time.Hour)
	n1.do("POST", "/clock", `{"id":"b","shape":"jump","offset":"3h"}`, &r)
	check("two jumps", 2, 2*time.Hour)
	n1.do("POST", "/clock", `{"id":"a","shape":"jump","offset":"-2h"}`, &r)
	check("replaced", 2, time.Hour)
	n1.do("DELETE", "/clock?id=b", "", &r)
	check("one ended", 1, -2*time.Hour)
	n1.do("PUT", "/clock", `{"leases":[{"id":"c","shape":"jump","offset":"5h"}]}`, &r)
	check("put", 1, 5*time.Hour)
	n1.end()
	n1 = n1.restart()
	n1.do("GET", "/clock", "", &r)
	check("restarted", 1, 5*time.Hour)
	n1.do("DELETE", "/clock", "", &r)
	check("ended", 0, 0)
}

// TestControlWhileBusy: all but /op is answered while the node is in a step
// that does not end.
func TestControlWhileBusy(t *testing.T) {
	gate := make(chan struct{})
	c := newCluster(t, 2, func(c *Config) {
		c.New = func() node.Node { n := newToy().(*toy); n.gate = gate; return n }
	})
	c.linked()
	n1, n2 := c.nodes["n1"], c.nodes["n2"]
	done := make(chan result)
	go func() { done <- n1.op(`{"f":"block"}`) }()
	eventually(t, "request", func() bool {
		var h health
		n1.do("GET", "/health", "", &h)
		return h.Counters["requests"] == 1
	})
	n1.do("GET", "/role", "", nil)
	n1.do("GET", "/records", "", nil)
	n1.do("POST", "/clock", `{"id":"a","shape":"jump","offset":"1s"}`, nil)
	n1.do("GET", "/peers", "", nil)
	n1.reaches("n2")
	n2.reaches("n1")
	n2.do("POST", "/probe", `{"to":"n1","nonce":"abc"}`, nil)
	eventually(t, "probe", func() bool {
		var p struct{ Probes []probe }
		n1.do("GET", "/probes?from=n2", "", &p)
		return len(p.Probes) == 1 && p.Probes[0].Nonce == "abc" && p.Probes[0].From == "n2"
	})
	close(gate)
	if r := <-done; r.Type != "ok" {
		t.Errorf("got %+v", r)
	}
}

// outside is a listener at whose connections callers come from other machines.
type outside struct{ net.Listener }

func (l outside) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return fromOutside{c}, err
}

type fromOutside struct{ net.Conn }

func (fromOutside) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 8000} }

// TestControlFromOutside: who reaches the clients' port over the network may do
// what clients do, and nothing to the node.
func TestControlFromOutside(t *testing.T) {
	c := newCluster(t, 1, func(c *Config) { c.HTTPListener = outside{c.HTTPListener} })
	n1 := c.nodes["n1"]
	for _, request := range []string{
		"POST /power", "POST /stop", "POST /clock", "PUT /clock", "DELETE /clock", "GET /clock", "GET /role",
		"GET /peers", "GET /peers/n1/ping", "POST /probe", "GET /probes", "GET /records",
	} {
		method, path, _ := strings.Cut(request, " ")
		if status, err := try(http.DefaultClient, n1.url, method, path, `{"id":"a","shape":"jump","offset":"1s"}`, nil); err != nil || status != http.StatusForbidden {
			t.Errorf("%s: %d %v, want 403", request, status, err)
		}
	}
	if r := n1.op(`{"f":"sync"}`); r.Type != "ok" {
		t.Errorf("a client's operation: %+v", r)
	}
	var h health
	if n1.do("GET", "/health", "", &h); h.Life != 1 {
		t.Errorf("health %+v", h)
	}
}

func TestHealth(t *testing.T) {
	n1 := newCluster(t, 1, nil).nodes["n1"]
	n1.op(`{"f":"sync"}`)
	n1 = n1.restart()
	eventually(t, "ready", func() bool {
		var h health
		n1.do("GET", "/health", "", &h)
		return h.Ready && h.ID == "n1" && h.Life == 2 && h.Role == "toy" && h.Term == 1 && h.Counters["steps"] == 1
	})
	var r role
	if n1.do("GET", "/role", "", &r); r != (role{"toy", 1}) {
		t.Errorf("role %+v", r)
	}
}

func TestRecords(t *testing.T) {
	n1 := newCluster(t, 1, nil).nodes["n1"]
	n1.op("{\"f\":\"record\",\"value\":{\"a\":\n[1]}}")
	read := func(from int) string {
		t.Helper()
		resp, err := http.Get(fmt.Sprintf("%s/records?from=%d&wait=1m", n1.url, from))
		must(t, err)
		defer resp.Body.Close()
		b := make([]byte, resp.ContentLength)
		_, err = resp.Body.Read(b)
		if err != nil && err.Error() != "EOF" {
			t.Fatal(err)
		}
		return string(b)
	}
	first := read(0)
	lines := strings.Split(first, "\n")
	if len(lines) != 3 || !strings.HasSuffix(lines[0], `,"f":"role","value":{"role":"toy","term":0}}`) || !strings.HasSuffix(lines[1], `,"f":"seen","value":{"a":[1]}}`) {
		t.Fatalf("records %q", first)
	}
	more := make(chan string)
	go func() { more <- read(len(first)) }() // waits
	n1.op(`{"f":"record","value":2}`)
	if got := <-more; !strings.HasSuffix(got, `,"f":"seen","value":2}`+"\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("then %q", got)
	}
	file, err := os.ReadFile(filepath.Join(n1.cfg.Dir, "records.jsonl"))
	must(t, err)
	if got := read(0); got != string(file) {
		t.Errorf("got %q, the file is %q", got, file)
	}
}
