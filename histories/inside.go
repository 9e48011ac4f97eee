package histories

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// The directory of a run may come from anybody. What lies in it is reached by
// the functions of this file alone: they stay within it, follow no links, and
// take nothing for a file that is none, such as a pipe that never ends. The
// directory itself may be named by a link.

// Open opens the file name of d to be read. name may have folders. What is no
// regular file is an error that says what it is.
func (d Dir) Open(name string) (*os.File, error) {
	return d.open(name, os.O_RDONLY, false)
}

// Append opens the file name of d to be appended to, and makes it and its
// folders if need be.
func (d Dir) Append(name string) (*os.File, error) {
	if err := makeDir(string(d)); err != nil {
		return nil, err
	}
	return d.open(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, true)
}

// OpenNode is Open of a file of a node.
func (d Dir) OpenNode(node, name string) (*os.File, error) { return d.Open(nodeFile(node, name)) }

// NodeFile is Append of a file of a node. Nobody buffers what is written to it.
func (d Dir) NodeFile(node, name string) (*os.File, error) {
	for _, part := range []string{node, name} {
		if !filepath.IsLocal(part) || strings.ContainsAny(part, `/\`) {
			return nil, fmt.Errorf("file %q of node %q: want plain names", name, node)
		}
	}
	f, err := d.Append(nodeFile(node, name))
	if err != nil {
		return nil, fmt.Errorf("file of node %s: %w", node, err)
	}
	return f, nil
}

// Nodes names the nodes that have a folder in d, sorted.
func (d Dir) Nodes() (names []string, err error) {
	root, err := d.root()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := d.folders(root, filepath.Join(nodesName, "n"), false); err != nil {
		return nil, none(err)
	}
	f, err := root.Open(nodesName)
	if err != nil {
		return nil, none(err)
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	for _, e := range entries {
		name := filepath.Join(nodesName, e.Name())
		switch info, err := root.Lstat(name); {
		case err != nil:
			return nil, d.error(name, err)
		case info.IsDir():
			names = append(names, e.Name())
		case !info.Mode().IsRegular():
			return nil, d.notFolder(name, info)
		}
	}
	if len(names) > NodesMax {
		return nil, d.error(nodesName, fmt.Errorf("there are %d folders of nodes, and a run has at most %d nodes", len(names), NodesMax))
	}
	slices.Sort(names)
	return names, err
}

// none is err, or nil if it says that something is not there.
func none(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// nodeFile is the name, within a Dir, of a file of a node.
func nodeFile(node, name string) string { return filepath.Join(nodesName, node, name) }

func (d Dir) open(name string, flag int, make bool) (*os.File, error) {
	root, err := d.root()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := d.folders(root, name, make); err != nil {
		return nil, err
	}
	if info, err := root.Lstat(name); err == nil && !info.Mode().IsRegular() {
		return nil, d.notFile(name, info)
	}
	// Whatever it has become meanwhile: nobody waits for it.
	f, err := root.OpenFile(name, flag|syscall.O_NONBLOCK, 0o644)
	if err != nil {
		return nil, d.error(name, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = d.notFile(name, info)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// root opens d as a directory that what is done in it cannot leave.
func (d Dir) root() (*os.Root, error) {
	info, err := os.Stat(string(d))
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is no directory but %s", d, kindOf(info))
	}
	return os.OpenRoot(string(d))
}

// folders sees that the folders in name are folders, and makes those that are
// missing if make says so.
func (d Dir) folders(root *os.Root, name string, make bool) error {
	if !filepath.IsLocal(name) {
		return fmt.Errorf("file %q: the name must lie within the run's directory", name)
	}
	for i, c := range name {
		if c != filepath.Separator && c != '/' {
			continue
		}
		folder := name[:i]
		info, err := root.Lstat(folder)
		if make && errors.Is(err, fs.ErrNotExist) {
			if err = root.Mkdir(folder, 0o777); err == nil || errors.Is(err, fs.ErrExist) {
				if err = syncDir(root, filepath.Dir(folder)); err == nil {
					info, err = root.Lstat(folder)
				}
			}
		}
		if err != nil {
			return d.error(folder, err)
		}
		if !info.IsDir() {
			return d.notFolder(folder, info)
		}
	}
	return nil
}

func (d Dir) notFile(name string, info fs.FileInfo) error {
	return d.error(name, fmt.Errorf("it is %s, and a run has a regular file there", kindOf(info)))
}

func (d Dir) notFolder(name string, info fs.FileInfo) error {
	return d.error(name, fmt.Errorf("it is %s, and a run has a folder there", kindOf(info)))
}

func (d Dir) error(name string, err error) error {
	return &fs.PathError{Op: "open", Path: d.Path(name), Err: bare(err)}
}

// kindOf says what a file is.
func kindOf(info fs.FileInfo) string {
	switch m := info.Mode(); {
	case m.IsRegular():
		return "a regular file"
	case m.IsDir():
		return "a directory"
	case m&fs.ModeSymlink != 0:
		return "a symbolic link"
	case m&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return "no regular file"
}

// writeAtomically makes the file name of d hold what write writes: if it fails
// or the machine dies, the file is what it was before. A link of that name is
// replaced, and not followed.
func (d Dir) writeAtomically(name string, write func(*os.File) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", d.Path(name), bare(err))
		}
	}()
	if err := makeDir(string(d)); err != nil {
		return err
	}
	root, err := d.root()
	if err != nil {
		return err
	}
	defer root.Close()
	if err := d.folders(root, name, true); err != nil {
		return err
	}
	folder, base := filepath.Split(name)
	temporary := filepath.Join(folder, "."+base+"."+rand.Text())
	f, err := root.OpenFile(temporary, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer root.Remove(temporary) // it is gone already if all went well
	defer f.Close()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := root.Rename(temporary, name); err != nil {
		return err
	}
	return syncDir(root, filepath.Dir(name))
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
	return Dir(parent).sync()
}

// sync makes the names in d durable.
func (d Dir) sync() error {
	root, err := d.root()
	if err != nil {
		return err
	}
	defer root.Close()
	return syncDir(root, ".")
}

// syncDir makes the names in a folder durable.
func syncDir(root *os.Root, folder string) error {
	d, err := root.Open(folder)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
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
