//go:build linux

package agent

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// talk runs an agent and returns a way to ask it. Records arrive on the channel.
func talk(t *testing.T) (ask func(Request) Response, records <-chan Records) {
	t.Helper()
	in, requests := io.Pipe()
	responses, out := io.Pipe()
	done := make(chan error)
	go func() { done <- Main(t.Context(), in, out) }()
	answers := make(chan Response, 100)
	arrived := make(chan Records, 100)
	go func() {
		for s := bufio.NewScanner(responses); s.Scan(); {
			var r Response
			if err := json.Unmarshal(s.Bytes(), &r); err != nil {
				t.Errorf("the agent says %q: %v", s.Bytes(), err)
			}
			if r.Records != nil {
				arrived <- *r.Records
				continue
			}
			answers <- r
		}
	}()
	t.Cleanup(func() {
		requests.Close()
		go io.Copy(io.Discard, responses)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	id := uint64(0)
	return func(r Request) Response {
		t.Helper()
		id++
		r.ID = id
		if err := json.NewEncoder(requests).Encode(r); err != nil {
			t.Fatal(err)
		}
		a := <-answers
		if a.ID != id {
			t.Fatalf("response %d to request %d", a.ID, id)
		}
		return a
	}, arrived
}

// freePort returns a port such that UDP port+1 is free.
func freePort(t *testing.T) uint16 {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return uint16(c.LocalAddr().(*net.UDPAddr).Port - 1)
}

func TestProtocol(t *testing.T) {
	dir := t.TempDir()
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Path, b)
	}))
	defer node.Close()
	ask, records := talk(t)

	if r := ask(Request{Tail: &Tail{Name: RecordsFile}}); r.Error == "" {
		t.Error("an agent that belongs to nobody tails a file")
	}
	port := freePort(t)
	hello := Hello{
		Node: "n1", Peers: map[string]string{"n2": "127.0.0.1"}, Data: dir,
		HTTP: uint16(node.Listener.Addr().(*net.TCPAddr).Port), Peer: port,
	}
	for range 2 { // it may come again
		if r := ask(Request{Hello: &hello}); r.Error != "" {
			t.Fatal(r.Error)
		}
	}
	if r := ask(Request{}); !strings.Contains(r.Error, "asks for nothing") {
		t.Errorf("an empty request: %+v", r)
	}

	r := ask(Request{Call: &Call{Method: "PUT", Path: "/x", Body: []byte("body"), Timeout: 10 * time.Second}})
	if r.Error != "" || r.Answer.Status != http.StatusTeapot || string(r.Answer.Body) != "PUT /x body" {
		t.Errorf("call: %+v", r)
	}

	r = ask(Request{Probe: &Probe{To: []string{"n2"}, Count: 20, Size: 100, Wait: 10 * time.Second, Dial: true}})
	if r.Error != "" || len(r.Links) != 1 {
		t.Fatalf("probe: %+v", r)
	}
	if l := r.Links[0]; l.Peer != "n2" || l.Sent != 20 || l.Got != 20 || len(l.Delays) != 20 || l.Bytes != 2000 || l.Dialed != "refused" {
		t.Errorf("probe of the loopback: %+v", l)
	}
	if r := ask(Request{Probe: &Probe{To: []string{"n9"}, Count: 1}}); !strings.Contains(r.Error, "n9") {
		t.Errorf("probe of nobody: %+v", r)
	}

	if r := ask(Request{Write: &File{Name: "../mark", Content: []byte("x")}}); r.Error != "" {
		t.Error(r.Error)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "mark")); err != nil || string(b) != "x" {
		t.Errorf("written: %q %v", b, err)
	}

	write := func(s string) {
		f, err := os.OpenFile(filepath.Join(dir, RecordsFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(s); err != nil {
			t.Fatal(err)
		}
	}
	if r := ask(Request{Tail: &Tail{Name: RecordsFile, Follow: true}}); r.Error != "" {
		t.Error(r.Error)
	}
	write("one\ntw")
	if got := <-records; got != (Records{0, "one\n"}) {
		t.Errorf("records %+v", got)
	}
	write("o\nthree")
	if got := <-records; got != (Records{4, "two\n"}) {
		t.Errorf("records %+v", got)
	}
	// A tail from where the harness left comes before its response.
	if r := ask(Request{Tail: &Tail{Name: RecordsFile, Offset: 4}}); r.Offset != 8 || len(records) != 1 {
		t.Errorf("tail from 4: %+v, %d records", r, len(records))
	}
	if got := <-records; got != (Records{4, "two\n"}) {
		t.Errorf("records %+v", got)
	}
}

func TestSabotage(t *testing.T) {
	t.Setenv(Sabotage, SabotageAck)
	ask, _ := talk(t)
	ask(Request{Hello: &Hello{Node: "n1", Peer: freePort(t)}})
	// The peer does not exist: honest rules would fail whoever runs the test.
	if r := ask(Request{Rules: &Rules{Deaf: []string{"n9"}}}); r.Error != "" {
		t.Errorf("an agent that lies: %+v", r)
	}
}

func TestGarbage(t *testing.T) {
	in := strings.NewReader("{\"id\":7,\"able\":\nnot json\n")
	var out strings.Builder
	if err := Main(t.Context(), in, &out); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), `"error":`); n != 2 {
		t.Errorf("two bad lines, %d errors: %s", n, &out)
	}
}

func TestTailLongLine(t *testing.T) {
	name := filepath.Join(t.TempDir(), "long")
	line := strings.Repeat("x", 3*tailMax) + "\n"
	if err := os.WriteFile(name, []byte(line+"rest"), 0o666); err != nil {
		t.Fatal(err)
	}
	var got []Records
	tl := tail{send: func(r Records) error { got = append(got, r); return nil }}
	if n, err := tl.read(name, 0); n != int64(len(line)) || err != nil || len(got) != 1 || got[0].Lines != line {
		t.Errorf("read %d bytes in %d parts, %v; want %d in one", n, len(got), err, len(line))
	}
	if n, err := tl.read(name+"-absent", 5); n != 5 || err != nil {
		t.Errorf("a file that is not there: %d %v", n, err)
	}
}

func TestPacer(t *testing.T) {
	fresh := func(p pacer) *pacer {
		p.rand = rand.New(rand.NewPCG(1, 2))
		return &p
	}
	const n = 10_000
	a, b := [4]byte{10, 0, 0, 1}, [4]byte{10, 0, 0, 2}
	delay := fresh(pacer{hold: []holding{{Hold: Hold{Probability: 1, Delay: 100, Jitter: 20}}, {Hold: Hold{Probability: 1, Delay: 1000}}, {b, Hold{Probability: 1, Delay: 9999}}}})
	low, high := int64(1<<62), int64(0)
	for range n {
		at, _ := delay.release(5, 1500, a)
		d := at - 5
		low, high = min(low, d), max(high, d)
	}
	if low != 1080 || high != 1120 {
		t.Errorf("1100 ± 20 makes %d to %d", low, high)
	}

	some, held := fresh(pacer{hold: []holding{{Hold: Hold{Probability: 0.3, Delay: 100}}}}), 0
	for range n {
		switch at, _ := some.release(5, 1, a); at {
		case 105:
			held++
		case 5:
		default:
			t.Fatal("held for some of the time")
		}
	}
	if held < n*28/100 || held > n*32/100 {
		t.Errorf("%d of %d are held, want 30 %%", held, n)
	}

	// 1000 bytes/s: 100 bytes take 0.1 s, one after the other; idle time is
	// not saved up.
	narrow := fresh(pacer{lines: []line{{rate: 1000}}})
	const second = int64(time.Second)
	for i, want := range []struct{ at, out int64 }{{0, second / 10}, {0, second / 5}, {second, second + second/10}} {
		if got, ok := narrow.release(want.at, 100, a); got != want.out || !ok {
			t.Errorf("packet %d at %d goes on at %d, want %d", i, want.at, got, want.out)
		}
	}
	taken := 0
	for ok := true; ok && taken < 1000; taken++ {
		_, ok = narrow.release(2*second, 100, a)
	}
	if taken < 60 || taken > 63 {
		t.Errorf("%d packets of 100 bytes wait, want 6000 bytes of them", taken)
	}

	// A line to one peer leaves the others alone. Behind one to all it comes
	// second, and what it drops takes no time on the first.
	lines := fresh(pacer{lines: []line{{rate: 1000}, {peer: b, rate: 500}}})
	for i, want := range []struct {
		now  int64
		peer [4]byte
		at   int64 // 0: it is dropped
	}{
		{0, a, 1}, {0, b, 4}, {0, a, 3}, {0, b, 6}, {0, b, 8}, {0, b, 10}, {0, b, 12},
		{0, b, 0}, // 7 s of 1000 bytes/s wait, and 6 may
		{2, b, 14}, {2, b, 16},
		{3, b, 0}, // 13 s of 500 bytes/s wait, and 12 may
		{3, a, 10},
	} {
		if got, ok := lines.release(want.now*second, 1000, want.peer); got != want.at*second || ok != (want.at > 0) {
			t.Errorf("packet %d goes on at %v, %v: want %d s", i, time.Duration(got), ok, want.at)
		}
	}
}

// What waits on a narrow line is ahead of what comes after a change of rules,
// unless it was let go.
func TestTurn(t *testing.T) {
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(wake)
	q := &queue{wake: wake}
	second := int64(time.Second)
	for _, cured := range []bool{false, true} {
		pace := &pacer{lines: []line{{rate: 1000}}}
		pace.release(0, 1000, [4]byte{})
		if cured {
			q.release()
		}
		q.set(pacer{lines: []line{{peer: [4]byte{10, 0, 0, 1}, rate: 1}, {rate: 1000}}})
		want := 2 * second
		if cured {
			want = second
		}
		pace, flush := q.turn(pace)
		if at, _ := pace.release(0, 1000, [4]byte{10, 0, 0, 2}); at != want || flush != cured {
			t.Errorf("cured %v: a second's worth is through at %v, want %v; flush %v", cured, time.Duration(at), time.Duration(want), flush)
		}
	}
}

// What the kernel would send for two packets, one of them cut short.
func TestPackets(t *testing.T) {
	header := func(id uint32) []byte { return append(binary.BigEndian.AppendUint32(nil, id), 8, 0, 1) }
	full := attribute(attribute(nil, nfqAttrPacketHeader, header(7)), nfqAttrPayload, append([]byte{12: 10, 13: 0, 14: 0, 15: 1, 16: 10, 17: 0, 18: 0, 19: 2}, make([]byte, 41)...))
	cut := attribute(attribute(attribute(nil, nfqAttrPacketHeader, header(9)), nfqAttrPacketLen, []byte{0, 0, 0x80, 1}), nfqAttrPayload, make([]byte, queueCopy))
	b := append(message(nfqMsgPacket, 0, queueIn, full), message(nfqMsgConfig, 0, queueIn, nil)...)
	b = append(b, message(nfqMsgPacket, 0, queueIn, cut)...)
	var got []string
	for p := range packets(b) {
		got = append(got, fmt.Sprintf("%d:%d %v %v", p.id, p.size, p.peer(queueIn), p.peer(queueOut)))
	}
	if want := []string{"7:61 [10 0 0 1] [10 0 0 2]", "9:32769 [0 0 0 0] [0 0 0 0]"}; !slices.Equal(got, want) {
		t.Errorf("packets %v, want %v", got, want)
	}
	// The kernel reads what it is written: 4-byte alignment, true lengths.
	if n := binary.NativeEndian.Uint32(b); int(n) != unix.SizeofNlMsghdr+4+12+68 {
		t.Errorf("a message of %d bytes", n)
	}
}

func FuzzPackets(f *testing.F) {
	f.Add(message(nfqMsgPacket, 0, queueIn, attribute(nil, nfqAttrPacketHeader, make([]byte, 7))))
	f.Add([]byte{16, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		for p := range packets(b) {
			if n++; n > len(b) || p.size < 0 || len(p.head) > len(b) {
				t.Errorf("%d packets, the last of %d bytes, in %d bytes", n, p.size, len(b))
			}
			p.peer(queueOut)
		}
	})
}
