//go:build linux

package agent

import (
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A queue holds packets that the kernel hands to it (NFQUEUE,
// linux/netfilter/nfnetlink_queue.h) and lets them go on when a pacer says so.
//
// It belongs at the receiver's input to delay: held at the sender's output,
// packets count against TCP's small queues there and throughput collapses. A
// bound on the rate, which is what those queues are for, belongs at the output.
type queue struct {
	num  uint16
	fd   int // netlink socket
	wake int // eventfd

	mu    sync.Mutex
	next  *pacer // to be used from now on, or nil
	flush bool   // let go of everything
}

// Of nfnetlink_queue.h.
const (
	nfqMsgPacket  = 0
	nfqMsgVerdict = 1
	nfqMsgConfig  = 2

	nfqAttrPacketHeader  = 1
	nfqAttrVerdictHeader = 2
	nfqAttrPayload       = 10
	nfqAttrPacketLen     = 13 // of a packet that was not copied whole

	nfqConfigCommand = 1
	nfqConfigParams  = 2
	nfqConfigMaxLen  = 3
	nfqConfigMask    = 4
	nfqConfigFlags   = 5

	nfqBind       = 1
	nfqCopyPacket = 2
	nfqFailOpen   = 1 // a full queue lets packets pass
	nfqGSO        = 4 // packets come as they are, not cut to the line's size
)

const (
	queueLen      = 65536
	queueCopy     = 64 // bytes of each packet; what is needed is its addresses and its length
	queueSockSize = 16 << 20
	netfilterSize = 20     // of a netlink and a netfilter header
	attributeType = 0x3fff // of an attribute's kind, without flags
)

// openQueue takes the queue num of this network namespace for good.
func openQueue(num uint16) (*queue, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	q := &queue{num: num, fd: fd}
	if err := q.configure(); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("queue %d: %w", num, err)
	}
	if q.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		unix.Close(fd)
		return nil, err
	}
	go q.run()
	return q, nil
}

func (q *queue) configure() error {
	if err := unix.Bind(q.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	// Without these a burst may overrun the socket: packets would pass at once
	// that should be late. Neither is worth failing for.
	_ = unix.SetsockoptInt(q.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, queueSockSize)
	_ = unix.SetsockoptInt(q.fd, unix.SOL_NETLINK, unix.NETLINK_NO_ENOBUFS, 1)
	var maxLen [4]byte
	binary.BigEndian.PutUint32(maxLen[:], queueLen)
	// To delay it is well that packets come as they are, many segments in one;
	// on a narrow line one such would take for ever.
	flags := []byte{0, 0, 0, nfqFailOpen | nfqGSO}
	if q.num == queueOut {
		flags[3] = nfqFailOpen
	}
	for _, attrs := range [][]byte{
		attribute(nil, nfqConfigCommand, []byte{nfqBind, 0, 0, 0}),
		attribute(attribute(nil, nfqConfigParams, []byte{0, 0, 0, queueCopy, nfqCopyPacket}), nfqConfigMaxLen, maxLen[:]),
		attribute(attribute(nil, nfqConfigMask, []byte{0, 0, 0, nfqFailOpen | nfqGSO}), nfqConfigFlags, flags),
	} {
		if err := q.ask(attrs); err != nil {
			return err
		}
	}
	return nil
}

// ask sends a configuration and awaits its acknowledgement.
func (q *queue) ask(attrs []byte) error {
	m := message(nfqMsgConfig, unix.NLM_F_REQUEST|unix.NLM_F_ACK, q.num, attrs)
	if err := unix.Sendto(q.fd, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	n, _, err := unix.Recvfrom(q.fd, buf, 0)
	if err != nil {
		return err
	}
	if n < netfilterSize || binary.NativeEndian.Uint16(buf[4:]) != unix.NLMSG_ERROR {
		return errors.New("the kernel did not acknowledge the configuration")
	}
	if e := int32(binary.NativeEndian.Uint32(buf[unix.SizeofNlMsghdr:])); e != 0 {
		return unix.Errno(-e)
	}
	return nil
}

// set makes p the pacer of packets that come from now on.
func (q *queue) set(p pacer) {
	p.rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	q.mu.Lock()
	q.next = &p
	q.mu.Unlock()
	q.signal()
}

// release lets all packets go on now.
func (q *queue) release() {
	q.mu.Lock()
	q.next, q.flush = &pacer{}, true
	q.mu.Unlock()
	q.signal()
}

func (q *queue) signal() {
	one := binary.NativeEndian.AppendUint64(nil, 1)
	_, _ = unix.Write(q.wake, one) // fails only if it has been signalled 2^64 times
}

// turn is the pacer that follows pace, and whether to let go of what waits. If
// not, that is still ahead on the line: or else rules that change, whatever
// they are about, would double the rate and have later packets overtake.
func (q *queue) turn(pace *pacer) (next *pacer, flush bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if flush = q.flush; q.next != nil {
		if !flush {
			q.next.after(pace)
		}
		pace = q.next
	}
	q.next, q.flush = nil, false
	return pace, flush
}

// run is a thread of its own: a timer of the Go runtime would be late by more
// than many a delay is long.
func (q *queue) run() {
	runtime.LockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	var (
		wait = parcels{}
		pace = &pacer{}
		seq  uint64
		buf  = make([]byte, 64<<10)
		fds  = []unix.PollFd{{Fd: int32(q.fd), Events: unix.POLLIN}, {Fd: int32(q.wake), Events: unix.POLLIN}}
	)
	for {
		var timeout *unix.Timespec
		if len(wait) > 0 {
			ts := unix.NsecToTimespec(max(wait[0].at-monotonic(), 0))
			timeout = &ts
		}
		_, _ = unix.Ppoll(fds, timeout, nil) // if interrupted, look again
		if fds[1].Revents != 0 {
			_, _ = unix.Read(q.wake, buf[:8])
			flush := false
			if pace, flush = q.turn(pace); flush {
				for len(wait) > 0 {
					q.decide(heap.Pop(&wait).(parcel).id, pass)
				}
			}
		}
		if fds[0].Revents != 0 {
			n, _, err := unix.Recvfrom(q.fd, buf, unix.MSG_DONTWAIT)
			if err == nil {
				now := monotonic()
				for p := range packets(buf[:n]) {
					at, ok := pace.release(now, p.size, p.peer(q.num))
					if !ok {
						q.decide(p.id, drop)
						continue
					}
					seq++
					heap.Push(&wait, parcel{at, seq, p.id})
				}
			} else if err == unix.EBADF {
				return
			}
		}
		for now := monotonic(); len(wait) > 0 && wait[0].at <= now; {
			q.decide(heap.Pop(&wait).(parcel).id, pass)
		}
	}
}

// What becomes of a packet; of linux/netfilter.h.
const (
	drop = 0
	pass = 1
)

// decide tells the kernel what becomes of a packet.
func (q *queue) decide(id, fate uint32) {
	v := binary.BigEndian.AppendUint32(nil, fate)
	v = binary.BigEndian.AppendUint32(v, id)
	m := message(nfqMsgVerdict, unix.NLM_F_REQUEST, q.num, attribute(nil, nfqAttrVerdictHeader, v))
	for range 100 {
		err := unix.Sendto(q.fd, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if err != unix.EINTR && err != unix.EAGAIN && err != unix.ENOBUFS {
			return // done, or the packet is gone with its interface
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// A packet is what the kernel tells of one that it queued.
type packet struct {
	id   uint32
	size int    // in bytes
	head []byte // at most queueCopy bytes of it, from the IPv4 header on
}

// peer is the address of the other end of a packet of queue num; zero if that
// cannot be read.
func (p packet) peer(num uint16) (addr [4]byte) {
	offset := fromAddr
	if num == queueOut {
		offset = toAddr
	}
	if len(p.head) >= offset+len(addr) {
		copy(addr[:], p.head[offset:])
	}
	return addr
}

// packets ranges over the packets in what netlink brought.
func packets(b []byte) iter.Seq[packet] {
	return func(yield func(packet) bool) {
		for len(b) >= unix.SizeofNlMsghdr {
			size := int(binary.NativeEndian.Uint32(b))
			if size < unix.SizeofNlMsghdr || size > len(b) {
				return
			}
			if binary.NativeEndian.Uint16(b[4:]) == unix.NFNL_SUBSYS_QUEUE<<8|nfqMsgPacket && size >= netfilterSize {
				if p, ok := readPacket(b[netfilterSize:size]); ok && !yield(p) {
					return
				}
			}
			b = b[min(align(size), len(b)):]
		}
	}
}

// readPacket reads the attributes of one packet; it is one if it has an id.
func readPacket(b []byte) (p packet, ok bool) {
	whole := false
	for len(b) >= unix.SizeofNlAttr {
		n := int(binary.NativeEndian.Uint16(b))
		if n < unix.SizeofNlAttr || n > len(b) {
			break
		}
		value := b[unix.SizeofNlAttr:n]
		switch kind := binary.NativeEndian.Uint16(b[2:]) & attributeType; {
		case kind == nfqAttrPacketHeader && len(value) >= 4:
			p.id, ok = binary.BigEndian.Uint32(value), true
		case kind == nfqAttrPacketLen && len(value) >= 4:
			p.size, whole = int(binary.BigEndian.Uint32(value)), true
		case kind == nfqAttrPayload:
			if p.head = value; !whole {
				p.size = len(value)
			}
		}
		b = b[min(align(n), len(b)):]
	}
	return p, ok
}

// message is a netlink message to the queue subsystem.
func message(kind byte, flags uint16, num uint16, attrs []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(netfilterSize+len(attrs)))
	b = binary.NativeEndian.AppendUint16(b, unix.NFNL_SUBSYS_QUEUE<<8|uint16(kind))
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // sequence, port
	b = append(b, unix.AF_UNSPEC, 0)
	b = binary.BigEndian.AppendUint16(b, num)
	return append(b, attrs...)
}

// attribute appends a netlink attribute to b.
func attribute(b []byte, kind uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofNlAttr+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	return append(b, make([]byte, align(len(value))-len(value))...)
}

func align(n int) int { return (n + 3) &^ 3 }
