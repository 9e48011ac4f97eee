package histories

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
)

// Opened is a run's directory as it was found.
type Opened struct {
	Dir
	Manifest Manifest
	History  History // with the nodes' own records, see Merge
	Torn     int     // records that were cut off when the run was, and are left out
	Complete bool    // there is a verdict
}

// Open reads the directory of a run, complete or cut short at any instant.
func Open(dir string) (*Opened, error) { return Limits{}.Open(dir) }

// Open is Open within other limits.
func (l Limits) Open(dir string) (*Opened, error) {
	o := &Opened{Dir: Dir(dir)}
	var err error
	if o.Manifest, err = o.readManifest(l); err != nil {
		return nil, fmt.Errorf("open run: %w", err)
	}
	h, info, err := o.readHistory(l, o.Manifest.nodeNames()...)
	if err != nil {
		return nil, fmt.Errorf("open run: %w", err)
	}
	var torn int
	if o.History, torn, err = mergeRecords(o.Dir, h, l); err != nil {
		return nil, fmt.Errorf("open run: %w", err)
	}
	o.Torn = info.Torn + torn
	result, err := o.ReadResult()
	o.Complete = err == nil && result.Verdict != ""
	return o, nil
}

func (d Dir) readManifest(l Limits) (m Manifest, err error) {
	path := d.Path(ManifestName)
	b, err := d.readDocument(ManifestName, l.record()/4)
	if errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("%s is not the directory of a run: %w", d, err)
	}
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(modern(b), &m); err != nil {
		return m, fmt.Errorf("%s: %w", path, err)
	}
	if m.Version < 1 || m.Version > ManifestVersion {
		return m, fmt.Errorf("%s: its version is %d, and this torture reads 1 to %d", path, m.Version, ManifestVersion)
	}
	if err := m.Validate(); err != nil {
		return m, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// readHistory reads history.jsonl, or history.jsonl.zst. A run that was killed
// before it made either has an empty history.
// nodes are names of processes that only record.
func (d Dir) readHistory(l Limits, nodes ...string) (History, ReadInfo, error) {
	for _, name := range []string{HistoryName, HistoryName + ".zst"} {
		h, info, err := d.Read(name, ReadOptions{Limits: l, Recorders: nodes})
		if !errors.Is(err, fs.ErrNotExist) {
			return h, info, err
		}
	}
	return History{}, ReadInfo{}, nil
}
