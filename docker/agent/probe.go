//go:build linux

package agent

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// probeHead is a sequence number; probeEcho that, and when it arrived.
	probeHead = 8
	probeEcho = 16
	// packetHead is the size of the IPv4 and UDP headers.
	packetHead = 28
	probeBuf   = 8 << 20
)

// prober measures links, and answers the probes of others.
type prober struct {
	mu       sync.Mutex
	answerer net.PacketConn
}

// listen answers probes on a UDP port. An answer goes to the port that the
// probe came from, which no rule is about.
func (p *prober) listen(port uint16) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answerer != nil {
		return nil
	}
	c, err := net.ListenUDP("udp4", &net.UDPAddr{Port: int(port)})
	if err != nil {
		return fmt.Errorf("answer probes: %w", err)
	}
	enlarge(c)
	p.answerer = c
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil || n < probeHead {
				continue
			}
			binary.BigEndian.PutUint64(buf[probeHead:], uint64(monotonic()))
			_, _ = c.WriteToUDPAddrPort(buf[:probeEcho], from) // an answer that is lost is measured as loss
		}
	}()
	return nil
}

// probe measures the links to all of w.To at once.
func (p *prober) probe(ctx context.Context, h Hello, w Probe) ([]Link, error) {
	links := make([]Link, len(w.To))
	errs := make([]error, len(w.To))
	var all sync.WaitGroup
	for i, peer := range w.To {
		addr, err := address(h, peer)
		if err != nil {
			return nil, err
		}
		links[i].Peer = peer
		all.Go(func() {
			errs[i] = measure(ctx, netip.AddrPortFrom(netip.AddrFrom4(addr), h.Peer+1), w, &links[i])
		})
		if w.Dial {
			all.Go(func() {
				links[i].Dialed = dial(ctx, netip.AddrPortFrom(netip.AddrFrom4(addr), h.Peer), w.Wait)
			})
		}
	}
	all.Wait()
	return links, errors.Join(errs...)
}

// dial tells what comes of a call: connected and refused are both answers.
func dial(ctx context.Context, to netip.AddrPort, wait time.Duration) string {
	c, err := (&net.Dialer{Timeout: wait}).DialContext(ctx, "tcp4", to.String())
	var timeout net.Error
	switch {
	case err == nil:
		c.Close()
		return "connected"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	}
	return err.Error()
}

// measure fills l with what becomes of w.Count packets to to.
func measure(ctx context.Context, to netip.AddrPort, w Probe, l *Link) error {
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return fmt.Errorf("probe %s: %w", l.Peer, err)
	}
	defer c.Close()
	enlarge(c)
	var (
		mu      sync.Mutex
		sent    = make([]int64, w.Count)
		arrived = make([]int64, w.Count) // 0: not yet
		back    = make([]int64, w.Count)
		last    int64
		highest = -1
		got     = make(chan struct{}) // closed when every packet has arrived
	)
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		buf := make([]byte, probeEcho)
		for {
			n, err := c.Read(buf)
			if errors.Is(err, syscall.ECONNREFUSED) {
				continue // the peer's agent is not there yet
			}
			if err != nil {
				return
			}
			seq, at := int(binary.BigEndian.Uint64(buf)), int64(binary.BigEndian.Uint64(buf[probeHead:]))
			if n != probeEcho || seq < 0 || seq >= w.Count {
				continue
			}
			mu.Lock()
			last = max(last, at)
			if arrived[seq] != 0 {
				l.Duplicates++
			} else {
				arrived[seq], back[seq] = at, monotonic()
				if seq < highest {
					l.Overtaken++
				}
				highest = max(highest, seq)
				if l.Got++; l.Got == w.Count {
					close(got)
				}
			}
			mu.Unlock()
		}
	}()
	payload := make([]byte, max(w.Size-packetHead, probeHead))
	start := time.Now()
	for i := range w.Count {
		if w.Every > 0 {
			time.Sleep(time.Until(start.Add(time.Duration(i) * w.Every)))
		}
		if ctx.Err() != nil {
			break
		}
		binary.BigEndian.PutUint64(payload, uint64(i))
		mu.Lock()
		sent[i] = monotonic()
		mu.Unlock()
		if _, err := c.Write(payload); err == nil || errors.Is(err, syscall.ECONNREFUSED) {
			l.Sent++
		}
	}
	select {
	case <-got:
		time.Sleep(10 * time.Millisecond) // for duplicates of the last
	case <-time.After(w.Wait):
	case <-ctx.Done():
	}
	c.SetReadDeadline(time.Now())
	<-heard
	for i, at := range arrived {
		if at != 0 {
			l.Delays = append(l.Delays, time.Duration(at-sent[i]))
			l.Back = append(l.Back, time.Duration(back[i]-at))
		}
	}
	l.Bytes = l.Got * (len(payload) + packetHead)
	if l.Got > 0 {
		l.Span = time.Duration(last - sent[0])
	}
	return nil
}

// enlarge gives a socket room for bursts, beyond the machine's limit if the
// agent may.
func enlarge(c *net.UDPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, probeBuf) != nil {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, probeBuf)
		}
	})
}
