package docker

import (
	"archive/tar"
	"context"
	"io"
	"path"

	"github.com/torture-harness/torture/docker/agent"
)

// saveDisk copies what the node left in its volume to nodes/<node>/, but for
// the records, which are there already.
func (m *member) saveDisk(ctx context.Context) error {
	content, _, err := m.w.cli.CopyFromContainer(ctx, m.agentID, dataDir+"/.")
	if err != nil {
		return m.errorf("save its disk: %w", err)
	}
	defer content.Close()
	for r := tar.NewReader(content); ; {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return m.errorf("save its disk: %w", err)
		}
		// The node's own code wrote these names: none leads elsewhere.
		name := path.Base(h.Name)
		if h.Typeflag != tar.TypeReg || name == agent.RecordsFile || name == "log" {
			continue
		}
		f, err := m.open(name)
		if err != nil {
			return m.errorf("save its disk: %w", err)
		}
		_, err = io.Copy(f, r)
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return m.errorf("save its disk: %s: %w", name, err)
		}
	}
}
