package histories

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Dir is the directory of one run:
//
//	run.json                    the Manifest, written first
//	history.jsonl               one op a line, as it happens
//	nodes/<id>/log              what a node printed
//	nodes/<id>/records.jsonl    what a node recorded itself (containers)
//	schedule.jsonl              what was replayed, if that is what it was
//	result.json, report.html    the verdict, written last, and by each check
type Dir string

// Names of files in a Dir.
const (
	ManifestName = "run.json"
	HistoryName  = "history.jsonl"
	ResultName   = "result.json"
	ScheduleName = "schedule.jsonl"
	RecordsName  = "records.jsonl" // of a node
	nodesName    = "nodes"
)

// Path is the path of the file name in d.
func (d Dir) Path(name string) string { return filepath.Join(string(d), name) }

// NodePath is the path of a file of a node.
func (d Dir) NodePath(node, name string) string {
	return filepath.Join(string(d), nodesName, node, name)
}

// Save writes v, as JSON, to the file name: all of it or, if it fails,
// nothing. An older file of that name is replaced.
func (d Dir) Save(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("save %s: %w", d.Path(name), err)
	}
	return d.SaveFile(name, append(b, '\n'))
}

// SaveFile is Save of bytes as they are. name may have folders, which are
// made.
func (d Dir) SaveFile(name string, content []byte) error {
	return d.writeAtomically(name, func(f *os.File) error {
		_, err := f.Write(content)
		return err
	})
}
