//go:build unix

package histories

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// foreigners are ways to make a path be something that no run leaves there.
var foreigners = map[string]func(path, secret string) error{
	"symbolic link": func(path, secret string) error { return os.Symlink(secret, path) },
	"named pipe":    func(path, _ string) error { return syscall.Mkfifo(path, 0o600) },
	"directory":     func(path, _ string) error { return os.Mkdir(path, 0o700) },
	"socket": func(path, _ string) error {
		fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		defer syscall.Close(fd)
		return syscall.Bind(fd, &syscall.SockaddrUnix{Name: path})
	},
}

// sentRun is the directory of a run that has every file that is read.
func sentRun(t *testing.T) Dir {
	t.Helper()
	d := Dir(filepath.Join(t.TempDir(), "r"))
	r, err := Create(string(d), Manifest{World: "docker", Nodes: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		ResultName: `{"version":1,"verdict":"valid"}`, ScheduleName: `{"schedule":1}`,
		"nodes/n1/log": "hello", "nodes/n1/records.jsonl": `{"f":"role","lamport":1}`,
	} {
		if err := d.SaveFile(name, []byte(text+"\n")); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// readAll reads all that a run's directory holds, and returns the first error.
func readAll(d Dir) error {
	if _, err := Open(string(d)); err != nil {
		return err
	}
	if _, err := d.ReadResult(); err != nil {
		return err
	}
	if _, err := d.ReadSchedule(Limits{}); err != nil {
		return err
	}
	f, err := d.OpenNode("n1", "log")
	if err == nil {
		f.Close()
	}
	return err
}

// A run's directory that somebody has sent is read as what it is: nothing in it
// leads out of it, or is waited for.
func TestForeignFiles(t *testing.T) {
	if err := readAll(sentRun(t)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{ManifestName, HistoryName, ResultName, ScheduleName, "nodes", "nodes/n1", "nodes/n1/log", "nodes/n1/records.jsonl"} {
		for what, make := range foreigners {
			d := sentRun(t)
			path := d.Path(name)
			secret := filepath.Join(filepath.Dir(string(d)), "secret")
			if err := os.Rename(path, secret); err != nil { // so that a link leads to what would do
				t.Fatal(err)
			}
			if err := make(path, secret); err != nil {
				t.Fatal(err)
			}
			err := readAll(d)
			if what == "directory" && strings.HasPrefix(name, "nodes") && !strings.Contains(name, ".") && err != nil {
				continue // an empty folder has no log
			}
			if err == nil || !strings.Contains(err.Error(), path+": it is a "+what) {
				t.Errorf("%s is a %s: got %v", name, what, err)
			}
			all, err := List(filepath.Dir(string(d)))
			if err != nil || len(all) == 0 {
				t.Errorf("%s is a %s: list: %v", name, what, err)
			}
			// What is written replaces a link, and stays within the directory.
			before := contents(t, secret)
			if err := d.SaveFile(name, []byte("mine")); err == nil && what != "symbolic link" && what != "named pipe" && what != "socket" {
				t.Errorf("%s is a %s, and was replaced", name, what)
			}
			if f, err := d.NodeFile("n1", "log"); err == nil {
				f.WriteString("mine")
				f.Close()
			}
			if after := contents(t, secret); after != before {
				t.Errorf("%s is a %s: what lies outside became %q", name, what, after)
			}
		}
	}
}

// contents are the names and texts of all files in a path.
func contents(t *testing.T, path string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(path, func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(p)
		all.WriteString(p + ": " + string(b) + "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
