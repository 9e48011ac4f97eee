package histories

import "encoding/json"

// Interval is a fault as the history tells it: from the invocation that
// injected it to the completion that cured it. Indices are into the history;
// -1 means that it never came to that.
type Interval struct {
	ID   string // the fault's name, unique in the run
	Kind string // partition, kill, …

	Inject    int  // invocation of inject: it may be in force from here on
	InForce   int  // ok completion of inject: it is in force as seen by the victim
	Cure      int  // invocation of cure, the first: it may be over from here on
	Over      int  // completion of cure, the last
	Verified  bool // injected and seen in force
	CuredWell bool // cured and seen gone

	Value json.RawMessage // the fault, as invoked
}

// Intervals returns the faults of h in the order of their injection.
//
// A fault is an operation of a nemesis process: f is inject or cure, the value
// of the invocation has "id" and "kind", that of the completion "verified".
func (h History) Intervals() []Interval {
	var all []Interval
	byID := map[string]int{}
	for _, c := range h.NemesisCalls() {
		var v struct {
			ID   string `json:"id"`
			Kind string `json:"kind"`
		}
		if decode(c.Invoke.Value, &v) != nil || v.ID == "" {
			continue
		}
		var done struct {
			Verified bool `json:"verified"`
		}
		if decode(c.Complete.Value, &done) != nil {
			done.Verified = false
		}
		over := c.Complete.Index
		if over >= h.Len() {
			over = -1
		}
		i, known := byID[v.ID]
		switch {
		case c.Invoke.F == "inject":
			byID[v.ID] = len(all)
			iv := Interval{ID: v.ID, Kind: v.Kind, Inject: c.Invoke.Index, InForce: -1, Cure: -1, Over: -1, Value: c.Invoke.Value}
			if c.Complete.Type == OK && over >= 0 {
				iv.InForce, iv.Verified = over, done.Verified
			}
			all = append(all, iv)
		case c.Invoke.F == "cure" && known:
			if all[i].Cure < 0 {
				all[i].Cure = c.Invoke.Index
			}
			all[i].Over = over
			all[i].CuredWell = c.Complete.Type == OK && done.Verified
		}
	}
	return all
}
