package host

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/torture-harness/torture/node"
)

// handler serves clients and control. Only /op goes through the inbox, so
// control is answered whatever the node is busy with.
func (h *host) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /op", h.op)
	mux.HandleFunc("GET /health", h.getHealth)
	for pattern, control := range map[string]http.HandlerFunc{
		"GET /role":            h.getRole,
		"GET /clock":           h.getClock,
		"POST /clock":          h.postClock,
		"PUT /clock":           h.putClock,
		"DELETE /clock":        h.deleteClock,
		"POST /power":          h.postPower,
		"POST /stop":           h.postStop,
		"GET /peers":           h.getPeers,
		"GET /peers/{id}/ping": h.getPing,
		"POST /probe":          h.postProbe,
		"GET /probes":          h.getProbes,
		"GET /records":         h.getRecords,
	} {
		mux.HandleFunc(pattern, local(control))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		probe := r.Clone(r.Context())
		for _, m := range []string{"GET", "POST", "PUT", "DELETE"} {
			probe.Method = m
			if _, pattern := mux.Handler(probe); pattern != "/" {
				refuse(w, http.StatusMethodNotAllowed, "%s takes %s, not %s", r.URL.Path, m, r.Method)
				return
			}
		}
		refuse(w, http.StatusNotFound, "there is no %s: want /op, /health, /role, /clock, /power, /stop, /peers, /peers/ID/ping, /probe, /probes or /records", r.URL.Path)
	})
	return mux
}

// local is control for who calls from the node's own machine, by its loopback
// address. Clients and peers come to another of its addresses: the port that
// they use is open to all who reach it.
func local(control http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		at, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
		if !ok || !at.IP.IsLoopback() {
			refuse(w, http.StatusForbidden, "%s is answered on the node's own machine alone, at its loopback address", r.URL.Path)
			return
		}
		control(w, r)
	}
}

// health is what GET /health answers.
type health struct {
	ID       node.ID          `json:"id"`
	Life     int              `json:"life"`
	Ready    bool             `json:"ready"`
	Role     string           `json:"role"`
	Term     uint64           `json:"term"`
	Now      time.Duration    `json:"now"`
	Wall     time.Duration    `json:"wall"`
	Uptime   time.Duration    `json:"uptime"`
	Lamport  uint64           `json:"lamport"`
	Counters map[string]int64 `json:"counters"`
}

func (h *host) getHealth(w http.ResponseWriter, _ *http.Request) {
	r, clocks := h.lastRole(), h.clock.read()
	respond(w, http.StatusOK, health{ID: h.cfg.ID, Life: h.life, Ready: h.ready.Load(), Role: r.Role, Term: r.Term,
		Now: clocks.Now, Wall: clocks.Wall, Uptime: time.Since(h.began), Lamport: h.lamport.stamp(), Counters: h.counts()})
}

func (h *host) counts() map[string]int64 {
	sent, lost := int64(0), int64(0)
	for _, l := range h.peers.links {
		sent, lost = sent+l.sent.Load(), lost+l.lost.Load()
	}
	c, d := &h.counters, &h.disk.stats
	return map[string]int64{
		"steps": c.steps.Load(), "timers": c.timers.Load(), "records": c.records.Load(),
		"requests": c.requests.Load(), "answers": c.answers.Load(), "answers_unclaimed": c.unclaimed.Load(),
		"frames_sent": sent, "frames_dropped": lost, "frames_rejected": h.peers.rejected.Load(),
		"messages_received": h.peers.received.Load(), "messages_overflowed": h.peers.overflow.Load(),
		"disk_bytes": d.size.Load(), "disk_keys": d.keys.Load(), "disk_syncs": d.syncs.Load(), "disk_compactions": d.compactions.Load(),
	}
}

func (h *host) lastRole() role {
	if r := h.role.Load(); r != nil {
		return *r
	}
	return role{}
}

func (h *host) getRole(w http.ResponseWriter, _ *http.Request) {
	respond(w, http.StatusOK, h.lastRole())
}

func (h *host) getClock(w http.ResponseWriter, _ *http.Request) {
	r := h.clock.read()
	if r.Leases == nil {
		r.Leases = []lease{}
	}
	respond(w, http.StatusOK, r)
}

const clockExample = `want a clock fault such as {"id":"clock-1","shape":"jump","offset":"-2s"}, {"id":"clock-2","shape":"strobe","offset":"200ms","period":"50ms"} or {"id":"clock-3","shape":"drift","drift":0.1}`

func (h *host) postClock(w http.ResponseWriter, r *http.Request) {
	var l lease
	if err := decode(w, r, &l); err != nil {
		refuse(w, http.StatusBadRequest, "%v: %s", err, clockExample)
		return
	}
	l.Since = 0
	h.editClock(w, r, []lease{l}, func(in []lease) []lease {
		return append(slices.DeleteFunc(in, func(o lease) bool { return o.ID == l.ID }), l)
	})
}

func (h *host) putClock(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Leases []lease `json:"leases"`
	}
	if err := decode(w, r, &body); err != nil {
		refuse(w, http.StatusBadRequest, `%v: want {"leases":[…]}, each %s`, err, clockExample)
		return
	}
	h.editClock(w, r, body.Leases, func(in []lease) []lease {
		for i := range body.Leases {
			body.Leases[i].Since = 0
			for _, o := range in { // a strobe that stays goes on where it is
				if o.ID == body.Leases[i].ID {
					body.Leases[i].Since = o.Since
				}
			}
		}
		return body.Leases
	})
}

func (h *host) deleteClock(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("id")
	h.editClock(w, r, nil, func(in []lease) []lease {
		return slices.DeleteFunc(in, func(l lease) bool { return id == "" || l.ID == id })
	})
}

// editClock checks the leases that come in, changes those in force, and
// answers as GET does.
func (h *host) editClock(w http.ResponseWriter, r *http.Request, in []lease, edit func([]lease) []lease) {
	for i := range in {
		if err := in[i].validate(); err != nil {
			refuse(w, http.StatusBadRequest, "%v", err)
			return
		}
	}
	if err := h.clock.change(edit); err != nil {
		refuse(w, http.StatusInternalServerError, "%v", err)
		return
	}
	h.inbox.wake() // timers may be due sooner
	h.getClock(w, r)
}

// orderWait is how long a step in progress may keep an order waiting before
// the answer says so.
const orderWait = 5 * time.Second

func (h *host) postPower(w http.ResponseWriter, _ *http.Request) {
	switch {
	case !h.obey(w, orderPower):
	case h.lost == nil:
		refuse(w, http.StatusConflict, "%s ended before it could lose power, and has its unsynced writes: create the file power", h.cfg.ID)
	default:
		respond(w, http.StatusOK, h.lost)
	}
}

func (h *host) postStop(w http.ResponseWriter, _ *http.Request) {
	if h.obey(w, orderStop) {
		respond(w, http.StatusOK, map[string]bool{"stopped": true})
	}
}

func (h *host) obey(w http.ResponseWriter, order uint32) bool {
	h.halt(order)
	select {
	case <-h.dead:
		return true
	case <-time.After(orderWait):
		refuse(w, http.StatusServiceUnavailable, "%s is still in the step that it was in %s ago, and will obey after it; or kill it", h.cfg.ID, orderWait)
		return false
	}
}

func (h *host) getPeers(w http.ResponseWriter, _ *http.Request) {
	type peer struct {
		ID        node.ID `json:"id"`
		Connected bool    `json:"connected"`
		Queued    int     `json:"queued"`
	}
	list := []peer{}
	for _, id := range h.cfg.Peers {
		if l := h.peers.links[id]; l != nil {
			l.mu.Lock()
			list = append(list, peer{id, l.connected.Load(), l.frames})
			l.mu.Unlock()
		}
	}
	respond(w, http.StatusOK, map[string]any{"peers": list})
}

// peer refuses a request that names no peer.
func (h *host) peer(w http.ResponseWriter, id node.ID) bool {
	if slices.Contains(h.cfg.Peers, id) {
		return true
	}
	refuse(w, http.StatusNotFound, "there is no peer %q: want one of %v", id, h.cfg.Peers)
	return false
}

// wait reads a duration from the query.
func wait(w http.ResponseWriter, r *http.Request, name string, otherwise time.Duration) (time.Duration, bool) {
	s := r.URL.Query().Get(name)
	if s == "" {
		return otherwise, true
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > time.Minute {
		refuse(w, http.StatusBadRequest, "%s=%s: want a duration from 0s to 1m, such as 500ms", name, s)
		return 0, false
	}
	return d, true
}

func (h *host) getPing(w http.ResponseWriter, r *http.Request) {
	to := node.ID(r.PathValue("id"))
	timeout, ok := wait(w, r, "timeout", time.Second)
	if !ok || !h.peer(w, to) {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	rtt, pong := h.peers.ping(ctx, to)
	if !pong {
		respond(w, http.StatusOK, map[string]any{"to": to, "pong": false})
		return
	}
	respond(w, http.StatusOK, map[string]any{"to": to, "pong": true, "rtt": rtt})
}

func (h *host) postProbe(w http.ResponseWriter, r *http.Request) {
	var body struct {
		To    node.ID `json:"to"`
		Nonce string  `json:"nonce"`
	}
	err := decode(w, r, &body)
	if err != nil || body.Nonce == "" || len(body.Nonce) > 256 {
		refuse(w, http.StatusBadRequest, `want a probe such as {"to":"n2","nonce":"abc"}, its nonce of 1 to 256 bytes`)
		return
	}
	if !h.peer(w, body.To) {
		return
	}
	sent := h.peers.send(probeFrame, body.To, []byte(body.Nonce))
	h.peers.kick(body.To)
	respond(w, http.StatusOK, map[string]bool{"sent": sent})
}

func (h *host) getProbes(w http.ResponseWriter, r *http.Request) {
	from := node.ID(r.URL.Query().Get("from"))
	if from != "" && !h.peer(w, from) {
		return
	}
	respond(w, http.StatusOK, map[string]any{"probes": h.peers.arrived(from)})
}

// getRecords streams the records file from an offset.
func (h *host) getRecords(w http.ResponseWriter, r *http.Request) {
	from := int64(0)
	if s := r.URL.Query().Get("from"); s != "" {
		var err error
		if from, err = strconv.ParseInt(s, 10, 64); err != nil || from < 0 {
			refuse(w, http.StatusBadRequest, "from=%s: want an offset in bytes", s)
			return
		}
	}
	patience, ok := wait(w, r, "wait", 0)
	if !ok {
		return
	}
	for end := time.Now().Add(patience); h.records.size.Load() <= from && time.Now().Before(end); {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-h.dead:
			end = time.Now()
		case <-r.Context().Done():
			return
		}
	}
	size := h.records.size.Load()
	if from > size {
		refuse(w, http.StatusRequestedRangeNotSatisfiable, "from=%d: there are %d bytes", from, size)
		return
	}
	f, err := os.Open(filepath.Join(h.cfg.Dir, "records.jsonl"))
	if err != nil {
		refuse(w, http.StatusInternalServerError, "%v", err)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/jsonl")
	w.Header().Set("Content-Length", strconv.FormatInt(size-from, 10))
	io.Copy(w, io.NewSectionReader(f, from, size-from)) // if the client is gone, so is who could be told
}
