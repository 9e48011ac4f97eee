package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
)

const (
	repository = "torture"
	// nodeUser runs the node. It is nobody in particular, and may nothing.
	nodeUser = 1000
	dataDir  = "/data"
)

// changes complete the imported file system to an image.
var changes = []string{`ENTRYPOINT ["/torture"]`, "LABEL " + label + "=1"}

// ensureImage makes the image of the program at path, unless the engine has
// it: an empty file system with the program and a directory for the node. It
// is imported as a tar, so that no builder is needed and no registry is asked.
// The name is made from the content.
func ensureImage(ctx context.Context, cli *client.Client, path string) (string, error) {
	program, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	layer, err := layer(program)
	if err != nil {
		return "", err
	}
	name := repository + ":" + hash(layer, fmt.Append(nil, changes))
	if _, err := cli.ImageInspect(ctx, name); err == nil {
		return name, nil
	} else if !cerrdefs.IsNotFound(err) {
		return "", fmt.Errorf("docker image %s: %w", name, err)
	}
	progress, err := cli.ImageImport(ctx, image.ImportSource{Source: bytes.NewReader(layer), SourceName: "-"}, name, image.ImportOptions{Changes: changes})
	if err != nil {
		return "", fmt.Errorf("docker image %s: import: %w", name, err)
	}
	defer progress.Close()
	if err := outcome(progress); err != nil {
		return "", fmt.Errorf("docker image %s: import: %w", name, err)
	}
	return name, nil
}

// layer is the image's file system.
func layer(program []byte) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	// A new volume takes over the owner of the directory that it covers. The
	// agent shares the group.
	if err := errors.Join(
		w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "data/", Mode: 0o775, Uid: nodeUser, Gid: nodeUser}),
		w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "torture", Mode: 0o755, Size: int64(len(program))}),
	); err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	err := w.Close()
	return buf.Bytes(), err
}

// outcome reads the engine's progress report to its end.
func outcome(r io.Reader) error {
	for d := json.NewDecoder(r); ; {
		var line struct {
			Error string `json:"error"`
		}
		switch err := d.Decode(&line); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case line.Error != "":
			return errors.New(line.Error)
		}
	}
}
