//go:build unix

package host

import (
	"fmt"
	"os"
	"syscall"
)

// lockFile keeps a second process away from a node's files. The lock ends with
// the process, however that ends.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w: is another process running this node?", path, err)
	}
	return f, nil
}
