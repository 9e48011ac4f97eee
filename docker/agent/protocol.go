// Package agent is what runs beside each node of a containerised cluster. The
// agent owns the network namespace that the node joins, so that it can answer,
// and its rules stay in force, while the node is paused, killed or gone.
//
// It reads requests from its standard input and writes responses to its
// standard output, a JSON value a line. Requests are served concurrently; a
// response carries the number of its request. Lines that the node appends to
// its record file are sent as they come, under number 0.
//
// Nothing here is reached over the network that the agent disturbs, and
// nothing but traffic between nodes, and between clients and nodes, is ever
// disturbed: see Rules.
package agent

import (
	"encoding/json"
	"time"
)

// Request asks the agent to do one thing: that of its fields which is set.
type Request struct {
	ID    uint64 `json:"id"` // from 1, unique among those open
	Hello *Hello `json:"hello,omitempty"`
	Rules *Rules `json:"rules,omitempty"`
	Probe *Probe `json:"probe,omitempty"`
	Call  *Call  `json:"call,omitempty"`
	Write *File  `json:"write,omitempty"`
	Disk  bool   `json:"disk,omitempty"`
	Tail  *Tail  `json:"tail,omitempty"`
	Able  bool   `json:"able,omitempty"`
}

// Response answers a request, or brings records.
type Response struct {
	ID      uint64            `json:"id,omitempty"`
	Error   string            `json:"error,omitempty"`   // why it was not done
	Links   []Link            `json:"links,omitempty"`   // what a Probe saw
	Answer  *Answer           `json:"answer,omitempty"`  // to a Call
	Offset  int64             `json:"offset,omitempty"`  // what a Tail reached
	Disk    *Disk             `json:"disk,omitempty"`    // what power can still take
	Able    map[string]string `json:"able,omitempty"`    // ability to "", or why not
	Records *Records          `json:"records,omitempty"` // unasked for
}

// Hello tells the agent whose agent it is. It comes first, and may come again.
type Hello struct {
	Node  string            `json:"node"`
	Peers map[string]string `json:"peers"` // every other node's IPv4 address
	// HTTP is the TCP port for clients and control, Peer that for messages
	// between nodes. UDP port Peer+1 is the agents' own, for probes; rules
	// about messages treat both alike.
	HTTP uint16 `json:"http"`
	Peer uint16 `json:"peer"`
	// Data is the directory that the agent shares with the node.
	Data string `json:"data"`
}

// Rules is all that disturbs a node: what was in force before is replaced, at
// once. The zero Rules disturb nothing.
//
// Everything but Client is about messages between nodes: packets to a Peer
// port. Nodes answer nothing on a connection they were called on, so a packet's
// way back, with its acknowledgements, is not a message and is left alone;
// that makes a cut one-way.
type Rules struct {
	// Version orders rules: those older than what is in force are refused.
	Version uint64 `json:"version"`
	// Deaf lists the peers whose messages are dropped here.
	Deaf []string `json:"deaf,omitempty"`
	// Loss drops messages here, each of them independently.
	Loss []Loss `json:"loss,omitempty"`
	// Hold delays messages here; the delays add up.
	Hold []Hold `json:"hold,omitempty"`
	// Duplicate sends messages to a peer twice.
	Duplicate []Duplicate `json:"duplicate,omitempty"`
	// Rate bounds the messages sent from here. Those that would wait longer
	// than Backlog are dropped.
	Rate []Rate `json:"rate,omitempty"`
	// Client drops what clients send here, and what is answered to them.
	// The agent itself still reaches the node.
	Client bool `json:"client,omitempty"`
}

// Loss drops a message from From with Probability. No From is every peer.
type Loss struct {
	From        string  `json:"from,omitempty"`
	Probability float64 `json:"probability"`
}

// Hold keeps a message from From, with Probability, for Delay ± Jitter,
// uniformly. No From is every peer.
type Hold struct {
	From        string        `json:"from,omitempty"`
	Probability float64       `json:"probability"`
	Delay       time.Duration `json:"delay"` // ns
	Jitter      time.Duration `json:"jitter,omitempty"`
}

// Duplicate repeats a message to To, with Probability.
type Duplicate struct {
	To          string  `json:"to"`
	Probability float64 `json:"probability"`
}

// Rate is the bytes per second of a line to To. No To is one line to all peers
// together.
type Rate struct {
	To   string `json:"to,omitempty"`
	Rate int64  `json:"rate"`
}

// Backlog is how long messages wait where rate bytes a second may be sent: half
// a second, or the time that 6000 bytes take if that is longer. What is beyond
// is dropped, as a router does, or else TCP would fill the queue with minutes.
func Backlog(rate int64) time.Duration {
	return max(time.Second/2, time.Duration(6000*1e9/float64(rate)))
}

// Probe measures the links from here to peers with UDP packets, which are
// answered on a way that no rule disturbs.
type Probe struct {
	To    []string      `json:"to"`
	Count int           `json:"count"` // packets to each
	Every time.Duration `json:"every"` // between two packets to one peer, ns
	Size  int           `json:"size"`  // of a packet, in bytes, IP and UDP headers included
	Wait  time.Duration `json:"wait"`  // for what is missing, after the last was sent, ns
	// Dial also calls the peer's own port, where its node listens.
	Dial bool `json:"dial,omitempty"`
}

// Link is what a Probe saw of the way to Peer.
type Link struct {
	Peer       string          `json:"peer"`
	Sent       int             `json:"sent"`
	Got        int             `json:"got"`                  // different packets that arrived
	Duplicates int             `json:"duplicates,omitempty"` // that arrived again
	Overtaken  int             `json:"overtaken,omitempty"`  // that arrived after one sent later
	Delays     []time.Duration `json:"delays,omitempty"`     // of those that arrived, one way, in order of sending, ns
	Back       []time.Duration `json:"back,omitempty"`       // of their answers, on the way that no rule disturbs: what is due to the machine
	Bytes      int             `json:"bytes,omitempty"`      // that arrived
	Span       time.Duration   `json:"span,omitempty"`       // from the first sending to the last arrival, ns
	Dialed     string          `json:"dialed,omitempty"`     // connected, refused, timeout, or another error
}

// Call is an HTTP request to the node beside the agent. It goes over the
// loopback interface, which no rule disturbs.
type Call struct {
	Method  string        `json:"method"`
	Path    string        `json:"path"`
	Body    []byte        `json:"body,omitempty"`
	Timeout time.Duration `json:"timeout"` // ns
}

// Answer is the node's answer to a Call.
type Answer struct {
	Status int    `json:"status"`
	Body   []byte `json:"body,omitempty"`
}

// File is to be written, whole, into the shared directory.
type File struct {
	Name    string `json:"name"`
	Content []byte `json:"content"`
}

// Disk is what the node's disk holds that a loss of power can take.
type Disk struct {
	Unsynced int  `json:"unsynced"` // writes
	Doomed   bool `json:"doomed"`   // the next boot takes them
}

// Tail asks for the whole lines of a file of the shared directory, from byte
// Offset on. With Follow set it goes on for the life of the agent and replaces
// the tail before; the response comes at once. Otherwise the response comes
// after everything that was in the file has been sent.
type Tail struct {
	Name   string `json:"name"`
	Offset int64  `json:"offset"`
	Follow bool   `json:"follow,omitempty"`
}

// Records are whole lines of the tailed file that begin at byte Offset.
type Records struct {
	Offset int64  `json:"offset"`
	Lines  string `json:"lines"`
}

// RecordsFile is the file, in the shared directory, of a node's records.
const RecordsFile = "records.jsonl"

// Abilities that a Response to Able speaks of.
const (
	AbleFilter    = "filter"    // cut messages
	AbleLoss      = "loss"      // drop them by chance
	AbleDuplicate = "duplicate" // send them twice
	AbleQueue     = "queue"     // hold them
)

// Sabotage is the environment variable that makes the agent lie, to test that
// torture notices: set to SabotageAck, it acknowledges rules and ignores them.
const (
	Sabotage    = "TORTURE_SABOTAGE"
	SabotageAck = "ack"
)

// maxLine bounds a request, and is how much of the records goes on one line.
const maxLine = 8 << 20

func decode(line []byte) (Request, error) {
	var r Request
	err := json.Unmarshal(line, &r)
	return r, err
}
