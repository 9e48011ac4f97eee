package histories

import (
	"encoding/json"
	"fmt"
)

// ResultVersion is the version of result.json that torture writes. Results
// without a version are older; their verdict and state are read all the same.
const ResultVersion = 1

// State says whether a run was done to its end.
type State string

// The states of a run. Only a complete one can be valid.
const (
	Complete    State = "complete"
	Interrupted State = "interrupted" // by a signal: what there was is recorded and judged
	Disturbed   State = "disturbed"   // somebody else did something to the cluster
	Failed      State = "failed"      // torture itself could not go on
	Killed      State = "killed"      // torture was, before there was a result
)

// ResultHead is what every result.json begins with.
type ResultHead struct {
	Version int
	Verdict string
	State   State
	Error   string // why, if State is Failed or Disturbed
	Ops     int    // how many the history had when it was judged; 0: not known
}

// ReadResult reads the head of d's result.json. The error is fs.ErrNotExist if
// there is none.
func (d Dir) ReadResult() (ResultHead, error) {
	path := d.Path(ResultName)
	b, err := d.readDocument(ResultName, Limits{}.record())
	if err != nil {
		return ResultHead{}, err
	}
	var r struct {
		Version int    `json:"version"`
		Verdict string `json:"verdict"`
		State   State  `json:"state"`
		Error   string `json:"error"`
		Ops     int    `json:"ops"`
		Killed  bool   `json:"killed"` // before there was a version
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return ResultHead{}, fmt.Errorf("%s: %w", path, err)
	}
	if r.Version > ResultVersion {
		return ResultHead{}, fmt.Errorf("%s: its version is %d, and this torture reads up to %d", path, r.Version, ResultVersion)
	}
	if r.State == "" {
		switch {
		case r.Killed:
			r.State = Killed
		case r.Error != "":
			r.State = Failed
		default:
			r.State = Complete
		}
	}
	return ResultHead{r.Version, r.Verdict, r.State, r.Error, r.Ops}, nil
}
