package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Doctor says that it builds torture, and leaves the compiler its time: here
// one that goes on only after that was said, and then fails.
func TestDoctorBuilds(t *testing.T) {
	engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		switch {
		case strings.HasSuffix(r.URL.Path, "/version"):
			_, _ = io.WriteString(w, `{"Version":"20.10","ApiVersion":"1.41","Os":"linux","Arch":"amd64"}`)
		case strings.Contains(r.URL.Path, "/volumes"):
			_, _ = io.WriteString(w, `{}`)
		default:
			_, _ = io.WriteString(w, `[]`)
		}
	}))
	defer engine.Close()
	t.Setenv("DOCKER_HOST", "tcp://"+engine.Listener.Addr().String())
	dir := t.TempDir()
	said := filepath.Join(dir, "said")
	compiler := "#!/bin/sh\n[ \"$1\" = list ] && echo " + dir + " && exit\nuntil [ -e " + said + " ]; do sleep 0.01; done\necho the compiler is broken >&2\nexit 1\n"
	if err := os.WriteFile(filepath.Join(dir, "go"), []byte(compiler), 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("XDG_CACHE_HOME", dir)

	var out, errs bytes.Buffer
	code := execute([]string{"doctor"}, &out, writer(func(b []byte) (int, error) {
		if strings.Contains(string(b), "building a static torture for the containers (linux/amd64)") {
			if err := os.WriteFile(said, nil, 0o666); err != nil {
				t.Error(err)
			}
		}
		return errs.Write(b)
	}))
	d := done{nil, code, out.String(), errs.String()}
	d.want(t, exitValid, "containers  yes: Docker Engine 20.10", "the faults cannot be tried", "the compiler is broken")
}

// writer is a function as an io.Writer.
type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }
