//go:build !linux

package host

import "syscall"

// control does nothing: write deadlines and keepalives have to do.
func control(_, _ string, _ syscall.RawConn) error { return nil }
