//go:build !unix

package host

import "os"

// lockFile has no lock to offer here.
func lockFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
}
