package histories

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Summary is a run in a store, at a glance: its history was not read.
type Summary struct {
	Name     string   `json:"name"` // of the directory, within the store
	Dir      Dir      `json:"dir"`
	Manifest Manifest `json:"manifest"`
	Verdict  string   `json:"verdict,omitempty"` // as result.json has it
	State    State    `json:"state,omitempty"`   // likewise
	Complete bool     `json:"complete"`          // there is a verdict
	Torn     bool     `json:"torn,omitempty"`    // the history's last line is cut off
	Size     int64    `json:"size"`              // of all files, in bytes
	Error    string   `json:"error,omitempty"`   // why the rest is not known
}

// List sums up the runs in the folder store, in the order of their names. A
// directory that is broken, or not a run, is listed with the reason.
func List(store string) ([]Summary, error) {
	entries, err := os.ReadDir(store)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	var all []Summary
	for _, e := range entries {
		d := Dir(filepath.Join(store, e.Name()))
		if info, err := os.Stat(string(d)); err != nil || !info.IsDir() {
			continue
		}
		s := Summary{Name: e.Name(), Dir: d}
		if err := s.fill(); err != nil {
			s.Error = err.Error()
		}
		all = append(all, s)
	}
	return all, nil
}

func (s *Summary) fill() (err error) {
	if s.Manifest, err = s.Dir.readManifest(Limits{}); err != nil {
		return err // what is not a run may be large: it is not walked
	}
	if s.Size, err = s.Dir.size(); err != nil {
		return err
	}
	if s.Torn, err = s.Dir.tornEnd(HistoryName); err != nil {
		return err
	}
	head, err := s.Dir.ReadResult()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	s.Complete, s.Verdict, s.State = head.Verdict != "", head.Verdict, head.State
	return nil
}

// size adds up the files in d. A run may be going on: what vanishes meanwhile
// does not count.
func (d Dir) size() (sum int64, err error) {
	err = filepath.WalkDir(string(d), func(_ string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		if info, err := e.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	return sum, err
}

// tornEnd tells whether the file name ends within a line.
func (d Dir) tornEnd(name string) (bool, error) {
	f, err := d.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return false, err
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], info.Size()-1); err != nil {
		return false, err
	}
	return last[0] != '\n', nil
}
