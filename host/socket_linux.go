package host

import (
	"os"
	"syscall"
)

// tcpUserTimeout is TCP_USER_TIMEOUT of linux/tcp.h.
const tcpUserTimeout = 0x12

// control makes a connection break when data or keepalives go unanswered for
// deadAfter. Without it a connection that was cut for some seconds waits up to
// minutes before it tries again, long after the heal.
func control(_, _ string, c syscall.RawConn) error {
	var err error
	if e := c.Control(func(fd uintptr) {
		err = os.NewSyscallError("setsockopt TCP_USER_TIMEOUT",
			syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(deadAfter.Milliseconds())))
	}); e != nil {
		return e
	}
	return err
}
