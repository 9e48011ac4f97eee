package host

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"

	"github.com/torture-harness/torture/node"
)

func frames() []frame {
	return []frame{
		{messageFrame, 1, "n1", []byte("hello")},
		{pingFrame, 1<<63 - 1, "n2", []byte{}},
		{pongFrame, 0, node.ID(strings.Repeat("n", idMax)), []byte("x")},
		{probeFrame, 42, "n3", bytes.Repeat([]byte("abc"), frameFirst)}, // read in parts
	}
}

func TestFrames(t *testing.T) {
	var wire []byte
	for _, f := range frames() {
		wire = appendFrame(wire, f)
	}
	r := bufio.NewReaderSize(bytes.NewReader(wire), 16)
	for _, want := range frames() {
		got, err := readFrame(r)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v (%v), want %+v", got, err, want)
		}
	}
	if _, err := readFrame(r); err != io.EOF {
		t.Errorf("at the end: got %v, want EOF", err)
	}
}

// FuzzFrame: no bytes make the reader panic, and a frame that is read is
// written as it was.
func FuzzFrame(f *testing.F) {
	for _, x := range frames()[:3] {
		f.Add(appendFrame(nil, x))
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{2, 0, 0, 0, 1, 1})
	f.Fuzz(func(t *testing.T, wire []byte) {
		x, err := readFrame(bufio.NewReader(bytes.NewReader(wire)))
		if err != nil {
			return
		}
		if again := appendFrame(nil, x); !bytes.HasPrefix(wire, again) {
			t.Fatalf("read %+v from %x, which is written %x", x, wire, again)
		}
	})
}

// TestRejectsFrames: what no peer sends is counted, and costs its connection.
// The others are served as before.
func TestRejectsFrames(t *testing.T) {
	c := newCluster(t, 2, nil)
	n1 := c.nodes["n1"]
	unknown := toyMessages.Append(nil, ack{})
	unknown[0] = 200
	tests := []struct {
		name string
		wire []byte
	}{
		{"too long", []byte{0xff, 0xff, 0xff, 0xff}},
		{"too short", []byte{1, 0, 0, 0, 1}},
		{"unknown kind", appendFrame(nil, frame{99, 1, "n2", nil})},
		{"stranger", appendFrame(nil, frame{pingFrame, 1, "n9", nil})},
		{"itself", appendFrame(nil, frame{pingFrame, 1, "n1", nil})},
		{"lamport", appendFrame(nil, frame{pingFrame, 1 << 63, "n2", nil})},
		{"no message", appendFrame(nil, frame{messageFrame, 1, "n2", unknown})},
		{"http", []byte("GET / HTTP/1.1\r\n\r\n")},
	}
	for i, tt := range tests {
		conn, err := net.Dial("tcp", n1.cfg.PeerListener.Addr().String())
		must(t, err)
		_, err = conn.Write(tt.wire)
		must(t, err)
		io.Copy(io.Discard, conn) // ends when n1 closes it, with or without a reset
		conn.Close()
		var h health
		n1.do("GET", "/health", "", &h)
		if got := h.Counters["frames_rejected"]; got != int64(i+1) {
			t.Errorf("%s: %d frames rejected so far, want %d", tt.name, got, i+1)
		}
	}
	c.linked()
}
