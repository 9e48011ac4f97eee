package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/node"
)

// refused is the error of an operation that no process can have received.
const refused = "connection refused"

// Address is where clients reach a node by HTTP: host:port.
func (w *World) Address(node string) string { return w.byName[node].address }

// invoke sends op to the node and returns its completion, with the Lamport
// number that came with the answer. There are no retries: an operation is sent
// once at most.
func (m *member) invoke(ctx context.Context, op histories.Op) (done histories.Op, after uint64) {
	done = op
	done.Lamport = 0
	fail := func(t histories.Type, why string) (histories.Op, uint64) {
		done.Type, done.Error = t, why
		return done, after
	}
	// A published port accepts calls whether the node is there or not; so ask
	// first. What is not sent has no effect.
	switch m.now() {
	case down:
		return fail(histories.Fail, refused)
	case broken:
		return fail(histories.Fail, refused+": the node ended by itself")
	}
	body, err := json.Marshal(request{F: op.F, Key: op.Key, Value: op.Value, Lamport: op.Lamport})
	if err != nil {
		panic(fmt.Sprintf("op %d: encode: %v", op.Index, err)) // it came from a generator
	}
	ctx, cancel := context.WithTimeout(ctx, m.w.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+m.address+pathOp, bytes.NewReader(body))
	if err != nil {
		return fail(histories.Fail, err.Error())
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := m.w.http.Do(req)
	var dial *net.OpError
	switch {
	case err != nil && ctx.Err() != nil:
		return fail(histories.Info, "timeout")
	case errors.As(err, &dial) && dial.Op == "dial":
		return fail(histories.Fail, refused)
	case err != nil:
		return fail(histories.Info, "connection reset")
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	switch {
	case err != nil && ctx.Err() != nil:
		return fail(histories.Info, "timeout")
	case err != nil:
		return fail(histories.Info, "connection reset")
	case resp.StatusCode == http.StatusBadRequest:
		return fail(histories.Fail, "not understood: "+string(bytes.TrimSpace(answer)))
	case resp.StatusCode != http.StatusOK:
		return fail(histories.Info, resp.Status)
	}
	if after, err = complete(&done, answer); err != nil {
		return fail(histories.Info, err.Error())
	}
	return done, after
}

// complete fills in what a node answered, and returns the answer's Lamport
// number. Fields that have no place in an Op become its further fields.
func complete(op *histories.Op, answer []byte) (after uint64, err error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(answer, &fields); err != nil {
		return 0, fmt.Errorf("answer %.80q: %w", answer, err)
	}
	var kind string
	for name, v := range map[string]any{"type": &kind, "error": &op.Error, "lamport": &after} {
		if raw, ok := fields[name]; ok {
			if err := json.Unmarshal(raw, v); err != nil {
				return 0, fmt.Errorf("answer %.80q: field %s: %w", answer, name, err)
			}
		}
		delete(fields, name)
	}
	switch kind {
	case "ok":
		op.Type = histories.OK
		if op.Value, err = node.Canon(fields["value"]); err != nil {
			return 0, fmt.Errorf("answer %.80q: value: %w", answer, err)
		}
	case "fail":
		op.Type = histories.Fail
	default:
		return 0, fmt.Errorf("answer %.80q: its type is neither ok nor fail", answer)
	}
	delete(fields, "value")
	op.Ext = nil
	if len(fields) > 0 {
		op.Ext = fields
	}
	return after, nil
}
