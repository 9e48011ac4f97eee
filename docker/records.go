package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"sync"

	"go.uber.org/zap"

	"github.com/torture-harness/torture/docker/agent"
)

// keeper writes the records of a node to nodes/<node>/records.jsonl as they
// come, so that a harness that is killed leaves what it had seen.
type keeper struct {
	member *member

	mu     sync.Mutex
	file   *os.File
	offset int64  // of what comes next, in the node's file
	last   uint64 // highest lamport number seen
	bad    int    // lines that are no records
	panics int    // the last life that recorded a panic
	failed error  // of writing the file
}

// add takes lines that begin at r.Offset of the node's file. Those that are
// known already come again after a broken connection.
func (k *keeper) add(r agent.Records) {
	k.mu.Lock()
	defer k.mu.Unlock()
	known := k.offset - r.Offset
	if known < 0 || known >= int64(len(r.Lines)) {
		return // there is a gap, which the next drain fills; or nothing is new
	}
	fresh := []byte(r.Lines[known:])
	if k.file == nil && k.failed == nil {
		k.file, k.failed = k.member.open(agent.RecordsFile)
	}
	if k.failed == nil {
		_, k.failed = k.file.Write(fresh)
	}
	if k.failed != nil {
		k.member.w.end(k.member.errorf("keep its records: %w", k.failed))
		return
	}
	k.offset += int64(len(fresh))
	for line := range bytes.Lines(fresh) {
		k.read(bytes.TrimSuffix(line, []byte("\n")))
	}
}

// read notes what the world needs of one record.
func (k *keeper) read(line []byte) {
	var r mark
	if err := json.Unmarshal(line, &r); err != nil {
		if k.bad++; k.bad == 1 {
			k.member.w.log.Warn("a record cannot be read", zap.String("node", k.member.name), zap.ByteString("record", line), zap.Error(err))
		}
		return
	}
	k.last = max(k.last, r.Lamport)
	switch r.F {
	case "panic":
		k.panics = k.member.lives()
	case "role":
		var v struct {
			Role string `json:"role"`
		}
		if json.Unmarshal(r.Value, &v) == nil {
			k.member.w.plays(k.member.name, v.Role)
		}
	}
	if f := k.member.w.cfg.Records; f != nil {
		f(k.member.name, line)
	}
}

// panicked tells whether the given life recorded a panic.
func (k *keeper) panicked(life int) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.panics == life
}

// drain fetches all records there are, and returns the highest number among
// them.
func (k *keeper) drain(ctx context.Context) (uint64, error) {
	k.mu.Lock()
	from := k.offset
	k.mu.Unlock()
	// Every line is sent before the response is.
	_, err := k.member.link.ask(ctx, agent.Request{Tail: &agent.Tail{Name: agent.RecordsFile, Offset: from}})
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.last, err
}

// follow has the agent send records from here on.
func (k *keeper) follow(ctx context.Context) error {
	k.mu.Lock()
	from := k.offset
	k.mu.Unlock()
	_, err := k.member.link.ask(ctx, agent.Request{Tail: &agent.Tail{Name: agent.RecordsFile, Offset: from, Follow: true}})
	return err
}

func (k *keeper) close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.file == nil {
		return nil
	}
	err := k.file.Close()
	k.file = nil
	k.failed = os.ErrClosed
	return err
}

// mark is the head of a record: what the world itself needs of it.
type mark struct {
	Lamport uint64          `json:"lamport"`
	F       string          `json:"f"`
	Value   json.RawMessage `json:"value"`
}
