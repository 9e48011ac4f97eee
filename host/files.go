package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// writeFile replaces the file at path, whole or not at all.
func writeFile(path string, data []byte, fsync bool) error {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && fsync {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return errors.Join(os.Rename(path+".new", path), syncDir(filepath.Dir(path), fsync))
}

// syncDir makes the names in dir durable.
func syncDir(dir string, fsync bool) error {
	if !fsync {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// nextLife counts a boot in the file at path and returns how many there were.
func nextLife(path string, fsync bool) (int, error) {
	life := 0
	b, err := os.ReadFile(path)
	if err == nil {
		life, err = strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil {
			return 0, fmt.Errorf("life file %s: %w", path, err)
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	life++
	return life, writeFile(path, fmt.Appendln(nil, life), fsync)
}
