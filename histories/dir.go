package histories

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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
	if !filepath.IsLocal(name) {
		return fmt.Errorf("save %q: the name must lie within the run's directory", name)
	}
	return writeAtomically(d.Path(name), func(f *os.File) error {
		_, err := f.Write(content)
		return err
	})
}

// NodeFile opens a file of a node to be appended to, and makes it if need be.
// Nobody buffers what is written to it.
func (d Dir) NodeFile(node, name string) (*os.File, error) {
	for _, part := range []string{node, name} {
		if !filepath.IsLocal(part) || strings.ContainsAny(part, `/\`) {
			return nil, fmt.Errorf("file %q of node %q: want plain names", name, node)
		}
	}
	path := d.NodePath(node, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, fmt.Errorf("file of node %s: %w", node, err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, fmt.Errorf("file of node %s: %w", node, err)
	}
	return f, nil
}

// writeAtomically makes the file path hold what write writes: if it fails or
// the machine dies, the file is what it was before.
func writeAtomically(path string, write func(*os.File) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", path, bare(err))
		}
	}()
	dir := filepath.Dir(path)
	if err := makeDir(dir); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // it is gone already if all went well
	defer f.Close()
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := write(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// bare is an error of package os without what it was about, for those who say
// that themselves.
func bare(err error) error {
	switch e := err.(type) {
	case *fs.PathError:
		return e.Err
	case *os.LinkError:
		return e.Err
	}
	return err
}

// makeDir makes the directory dir and those above it, as far as they are
// missing, and their names durable.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(dir)
	if err := makeDir(parent); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	return syncDir(parent)
}

// syncDir makes the names in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
