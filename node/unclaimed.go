package node

import "encoding/json"

// Unclaimed is an answer that nobody waits for, as worlds record it.
type Unclaimed struct {
	Request uint64          `json:"request"`
	Type    string          `json:"type"` // ok or fail
	Value   json.RawMessage `json:"value,omitempty"`
	Error   string          `json:"error,omitempty"`
}

// Unclaimed is what to record of the Answer f.
func (f *Effect) Unclaimed() Unclaimed {
	if f.OK {
		return Unclaimed{Request: f.Req, Type: "ok", Value: f.Value}
	}
	return Unclaimed{Request: f.Req, Type: "fail", Error: f.Error}
}
