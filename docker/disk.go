package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"path"

	"github.com/torture-harness/torture/docker/agent"
)

// saveDisk copies what the node left in its volume to nodes/<node>/; of the
// records, those that had not arrived. The agent may be dead.
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
		switch {
		case h.Typeflag != tar.TypeReg || name == "log":
			continue
		case name == agent.RecordsFile:
			all, err := io.ReadAll(r)
			if err != nil {
				return m.errorf("save its records: %w", err)
			}
			whole := all[:bytes.LastIndexByte(all, '\n')+1]
			m.records.add(agent.Records{Lines: string(whole)})
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
