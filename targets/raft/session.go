package raft

import (
	"strconv"
	"strings"

	pb "go.etcd.io/raft/v3/raftpb"
)

// command is a client's operation on its way through the log. Its name,
// ORIGIN.LIFE.SEQ, is never given twice: origin is the node that took it, life
// which boot of that node, seq how many it had taken in that life.
type command struct {
	origin    string
	life, seq uint64
	// low is the least seq of that life that is still waited for: replies to
	// commands before it need not be kept.
	low           uint64
	f, key, value string // key and value are canonical JSON
}

func (c command) name() []byte {
	b := append(make([]byte, 0, 48+len(c.key)+len(c.value)), c.origin...)
	b = strconv.AppendUint(append(b, '.'), c.life, 10)
	return strconv.AppendUint(append(b, '.'), c.seq, 10)
}

// encode is what a log entry holds: the fields on a line each, the name first.
// Compact JSON has no line breaks.
func (c command) encode() []byte {
	b := strconv.AppendUint(append(c.name(), '\n'), c.low, 10)
	for _, s := range []string{c.f, c.key, c.value} {
		b = append(append(b, '\n'), s...)
	}
	return b
}

// parse is the inverse of encode. What is in the log has been encoded here.
func parse(s string) command {
	name, rest, _ := strings.Cut(s, "\n")
	low, rest, _ := strings.Cut(rest, "\n")
	c := parseName(name)
	c.low = number(low)
	c.f, rest, _ = strings.Cut(rest, "\n")
	c.key, c.value, _ = strings.Cut(rest, "\n")
	return c
}

// parseName is the inverse of name.
func parseName(s string) command {
	origin, numbers, _ := strings.Cut(s, ".")
	life, seq, _ := strings.Cut(numbers, ".")
	return command{origin: origin, life: number(life), seq: number(seq)}
}

func number(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

// opName is what an entry is called in records.
func opName(e *pb.Entry) string {
	switch {
	case e.GetType() != pb.EntryNormal:
		c := parse(string(confChange(e).GetContext()))
		return c.f + " " + strings.Trim(c.value, `"`) + " " + string(c.name())
	case len(e.GetData()) == 0:
		return "noop"
	}
	name, _, _ := strings.Cut(string(e.GetData()), "\n")
	return name
}

// session is what the machine knows of the commands of one node: those of one
// life, since whoever waited for those of an earlier one is gone.
type session struct {
	Life    uint64           `json:"life"`
	Low     uint64           `json:"low"`
	Replies map[uint64]reply `json:"replies"` // of commands done, from Low on
}

func (m *machine) session(origin string) *session {
	s := m.sessions[origin]
	if s == nil {
		s = &session{Replies: map[uint64]reply{}}
		m.sessions[origin] = s
	}
	return s
}

// done tells whether c must not be done: it has been, or nobody waits for it
// any more, so that whether it has been is no longer known.
func (s *session) done(c command) (reply, bool) {
	if c.life != s.Life {
		return reply{}, c.life < s.Life
	}
	r, ok := s.Replies[c.seq]
	return r, ok || c.seq < s.Low
}

// keep remembers c's reply, and forgets what nobody waits for.
func (s *session) keep(c command, r reply) {
	if c.life > s.Life {
		s.Life, s.Low = c.life, 0
		clear(s.Replies)
	}
	for ; s.Low < c.low; s.Low++ {
		delete(s.Replies, s.Low)
	}
	if c.seq >= s.Low {
		s.Replies[c.seq] = r
	}
}
