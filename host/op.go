package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/torture-harness/torture/node"
)

// bodyMax is the size of the largest request understood.
const bodyMax = 16 << 20

// call is a client that waits for an answer.
type call struct {
	request node.Request
	answer  chan answer // has room for one
}

type answer struct {
	ok      bool
	value   json.RawMessage
	err     string
	ext     map[string]json.RawMessage
	lamport uint64
}

// opBody is what POST /op takes.
type opBody struct {
	F       string          `json:"f"`
	Key     json.RawMessage `json:"key"`
	Value   json.RawMessage `json:"value"`
	Lamport uint64          `json:"lamport"`
}

const opExample = `want an operation such as {"f":"write","key":"x","value":1}; key, value and lamport may be absent`

// op serves POST /op.
func (h *host) op(w http.ResponseWriter, r *http.Request) {
	var body opBody
	if err := decode(w, r, &body); err != nil {
		refuse(w, http.StatusBadRequest, "%v: %s", err, opExample)
		return
	}
	if body.F == "" {
		refuse(w, http.StatusBadRequest, "the operation has no f: %s", opExample)
		return
	}
	if !h.lamport.observe(body.Lamport) {
		refuse(w, http.StatusBadRequest, "lamport %d is too large: want less than 2^63", body.Lamport)
		return
	}
	c := &call{answer: make(chan answer, 1)}
	var err error
	if c.request, err = node.NewRequest(h.requests.Add(1), body.F, body.Key, body.Value); err != nil {
		refuse(w, http.StatusBadRequest, "%v: %s", err, opExample)
		return
	}
	if !h.inbox.put(event{kind: request, call: c}) {
		panic(http.ErrAbortHandler)
	}
	timeout := time.NewTimer(h.cfg.AnswerTimeout)
	defer timeout.Stop()
	select {
	case a := <-c.answer:
		reply(w, a)
	case <-h.dead:
		select {
		case a := <-c.answer: // its last
			reply(w, a)
		default:
			panic(http.ErrAbortHandler)
		}
	case <-timeout.C:
		h.inbox.put(event{kind: forget, call: c})
		refuse(w, http.StatusGatewayTimeout, "%s has not answered within %s: the operation may have taken effect, or do so later", h.cfg.ID, h.cfg.AnswerTimeout)
	case <-r.Context().Done():
		h.inbox.put(event{kind: forget, call: c})
	}
}

// reply writes a node's answer.
func reply(w http.ResponseWriter, a answer) {
	b := make([]byte, 0, 64+len(a.value))
	if a.ok {
		b = append(b, `{"type":"ok","value":`...)
		b = appendValue(b, a.value)
		for _, name := range slices.Sorted(maps.Keys(a.ext)) {
			b = appendString(append(b, ','), name)
			b = appendValue(append(b, ':'), a.ext[name])
		}
	} else {
		b = append(b, `{"type":"fail","error":`...)
		b = appendString(b, a.err)
	}
	b = append(b, `,"lamport":`...)
	b = strconv.AppendUint(b, a.lamport, 10)
	write(w, http.StatusOK, append(b, '}', '\n'))
}

// decode reads a body that is one JSON value, with no field that v lacks.
func decode(w http.ResponseWriter, r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyMax))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		if errors.Is(err, io.EOF) {
			return errors.New("the body is empty")
		}
		return fmt.Errorf("the body: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("the body goes on after its JSON value")
	}
	return nil
}

// refuse answers with an error.
func refuse(w http.ResponseWriter, status int, format string, args ...any) {
	respond(w, status, map[string]string{"error": fmt.Sprintf(format, args...)})
}

// respond answers with v as JSON.
func respond(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("host: encode %T: %v", v, err))
	}
	write(w, status, append(b, '\n'))
}

func write(w http.ResponseWriter, status int, b []byte) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	w.Write(b) // if the client is gone, so is who could be told
}
