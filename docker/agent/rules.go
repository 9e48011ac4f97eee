//go:build linux

package agent

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"
)

const (
	tableName = "torture"

	// The kernel's queues through which held packets pass.
	queueIn  = 1
	queueOut = 2

	// chances is the resolution of a probability in the kernel.
	chances = 1_000_000
)

// ruler keeps the kernel's rules as they are wanted.
type ruler struct {
	mu      sync.Mutex
	version uint64
	in, out *queue // nil until first used
}

// apply puts r into force in place of what was, in one transaction: no packet
// meets a half of the rules.
func (u *ruler) apply(h Hello, r Rules) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if r.Version < u.version {
		return fmt.Errorf("rules of version %d are older than those in force, of version %d", r.Version, u.version)
	}
	u.version = r.Version
	// Queues are ready before packets are sent there, and are emptied only
	// after no more come.
	in, out, err := pacers(h, r)
	if err != nil {
		return err
	}
	if err := u.pace(&u.in, queueIn, in); err != nil {
		return err
	}
	if err := u.pace(&u.out, queueOut, out); err != nil {
		return err
	}
	if err := install(tableName, h, r, u.queueing()); err != nil {
		return fmt.Errorf("set the kernel's rules: %w", err)
	}
	if u.in != nil && len(r.Hold) == 0 {
		u.in.release()
	}
	if u.out != nil && len(r.Rate) == 0 {
		u.out.release()
	}
	return nil
}

// pacers are those of the packets that come in, and of those that go out.
func pacers(h Hello, r Rules) (in, out pacer, err error) {
	for _, x := range r.Hold {
		peer, err := anyAddress(h, x.From)
		if err != nil {
			return in, out, err
		}
		in.hold = append(in.hold, holding{peer, x})
	}
	for _, x := range r.Rate {
		peer, err := anyAddress(h, x.To)
		if err != nil {
			return in, out, err
		}
		out.lines = append(out.lines, line{peer: peer, rate: x.Rate})
	}
	return in, out, nil
}

// pace makes packets of the queue wait as p says. The queue is opened when
// first something has to wait.
func (u *ruler) pace(q **queue, num uint16, p pacer) (err error) {
	if len(p.hold) == 0 && len(p.lines) == 0 {
		return nil
	}
	if *q == nil {
		if *q, err = openQueue(num); err != nil {
			return fmt.Errorf("hold packets: %w", err)
		}
	}
	(*q).set(p)
	return nil
}

// queueing is how this kernel is told to queue a packet. Kernels have nft's own
// expression, xtables' target, or both; xtables' is the older one.
func (u *ruler) queueing() func(num uint16) expr.Any {
	queueOnce.Do(func() {
		if tryRule(xtQueue(queueIn)) != nil && tryRule(nftQueue(queueIn)) == nil {
			queueExpr = nftQueue
		}
	})
	return queueExpr
}

var (
	queueOnce sync.Once
	queueExpr = xtQueue
)

// Packets pass when nobody reads the queue: an agent that died disturbs
// nothing.
func nftQueue(num uint16) expr.Any {
	return &expr.Queue{Num: num, Total: 1, Flag: expr.QueueFlagBypass}
}

func xtQueue(num uint16) expr.Any {
	// struct xt_NFQ_info_v3 { u16 queuenum, queues_total, flags; }, aligned to 8
	b := binary.NativeEndian.AppendUint16(nil, num)
	b = binary.NativeEndian.AppendUint16(b, 1)
	b = binary.NativeEndian.AppendUint16(b, 1) // bypass
	info := xt.Unknown(append(b, 0, 0))
	return &expr.Target{Name: "NFQUEUE", Rev: 3, Info: &info}
}

// ruleset builds one transaction.
type ruleset struct {
	conn  *nftables.Conn
	table *nftables.Table
}

func begin(name string) (ruleset, error) {
	conn, err := nftables.New()
	if err != nil {
		return ruleset{}, err
	}
	t := &nftables.Table{Name: name, Family: nftables.TableFamilyIPv4}
	conn.AddTable(t) // so that it can be deleted whether it was there or not
	conn.DelTable(t)
	return ruleset{conn, t}, nil
}

func (s ruleset) hook(name string, hook *nftables.ChainHook) *nftables.Chain {
	accept := nftables.ChainPolicyAccept
	return s.conn.AddChain(&nftables.Chain{
		Name: name, Table: s.table, Type: nftables.ChainTypeFilter, Hooknum: hook,
		Priority: nftables.ChainPriorityRaw, Policy: &accept,
	})
}

func (s ruleset) add(c *nftables.Chain, parts ...[]expr.Any) {
	r := &nftables.Rule{Table: s.table, Chain: c}
	for _, p := range parts {
		r.Exprs = append(r.Exprs, p...)
	}
	s.conn.AddRule(r)
}

// install replaces the table with one that enacts r.
func install(name string, h Hello, r Rules, queue func(uint16) expr.Any) error {
	s, err := begin(name)
	if err != nil {
		return err
	}
	s.conn.AddTable(s.table)
	in := s.hook("in", nftables.ChainHookInput)
	out := s.hook("out", nftables.ChainHookOutput)
	heard := s.conn.AddChain(&nftables.Chain{Name: "heard", Table: s.table})
	said := s.conn.AddChain(&nftables.Chain{Name: "said", Table: s.table})

	// What a node says to itself, and the agent to its node, is left alone.
	s.add(in, loopbackIn(), verdict(expr.VerdictAccept))
	s.add(out, loopbackOut(), verdict(expr.VerdictAccept))
	if r.Client {
		s.add(in, protocol(unix.IPPROTO_TCP), port(toPort, h.HTTP, h.HTTP), verdict(expr.VerdictDrop))
		s.add(out, protocol(unix.IPPROTO_TCP), port(fromPort, h.HTTP, h.HTTP), verdict(expr.VerdictDrop))
	}
	for _, p := range []byte{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
		s.add(in, protocol(p), port(toPort, h.Peer, h.Peer+1), jump(heard))
		s.add(out, protocol(p), port(toPort, h.Peer, h.Peer+1), jump(said))
	}

	for _, peer := range r.Deaf {
		addr, err := address(h, peer)
		if err != nil {
			return err
		}
		s.add(heard, ip(fromAddr, addr), verdict(expr.VerdictDrop))
	}
	for _, l := range r.Loss {
		from, err := peer(h, fromAddr, l.From)
		if err != nil {
			return err
		}
		s.add(heard, from, chance(l.Probability), verdict(expr.VerdictDrop))
	}
	// A packet is queued at most once, for all that holds it: the verdict on it
	// ends its way through these rules.
	for _, x := range r.Hold {
		from, err := peer(h, fromAddr, x.From)
		if err != nil {
			return err
		}
		s.add(heard, from, []expr.Any{queue(queueIn)})
	}
	for _, d := range r.Duplicate {
		addr, err := address(h, d.To)
		if err != nil {
			return err
		}
		s.add(said, ip(toAddr, addr), chance(d.Probability), []expr.Any{
			&expr.Immediate{Register: 1, Data: addr[:]},
			&expr.Dup{RegAddr: 1},
		})
	}
	for _, x := range r.Rate {
		to, err := peer(h, toAddr, x.To)
		if err != nil {
			return err
		}
		s.add(said, to, []expr.Any{queue(queueOut)})
	}
	return s.conn.Flush()
}

func address(h Hello, peer string) ([4]byte, error) {
	a, err := netip.ParseAddr(h.Peers[peer])
	if err != nil || !a.Is4() {
		return [4]byte{}, fmt.Errorf("peer %q has no IPv4 address among %v", peer, h.Peers)
	}
	return a.As4(), nil
}

// anyAddress is the address of a peer; that of no peer, "", is zero.
func anyAddress(h Hello, peer string) ([4]byte, error) {
	if peer == "" {
		return [4]byte{}, nil
	}
	return address(h, peer)
}

// peer matches packets with the address of a peer at offset; all, if it is "".
func peer(h Hello, offset uint32, name string) ([]expr.Any, error) {
	if name == "" {
		return nil, nil
	}
	addr, err := address(h, name)
	return ip(offset, addr), err
}

const (
	fromAddr, toAddr = 12, 16 // in the IPv4 header
	fromPort, toPort = 0, 2   // in the TCP and the UDP header
)

func ip(offset uint32, addr [4]byte) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: addr[:]},
	}
}

func protocol(p byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{p}},
	}
}

func port(offset uint32, first, last uint16) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2},
		&expr.Cmp{Op: expr.CmpOpGte, Register: 1, Data: binaryutil.BigEndian.PutUint16(first)},
		&expr.Cmp{Op: expr.CmpOpLte, Register: 1, Data: binaryutil.BigEndian.PutUint16(last)},
	}
}

// chance matches with probability p. The comparison is of bytes, so the number
// is brought into network order first.
func chance(p float64) []expr.Any {
	return []expr.Any{
		&expr.Numgen{Register: 1, Modulus: chances, Type: unix.NFT_NG_RANDOM},
		&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 4, Size: 4},
		&expr.Cmp{Op: expr.CmpOpLt, Register: 1, Data: binaryutil.BigEndian.PutUint32(uint32(p*chances + 0.5))},
	}
}

func loopbackIn() []expr.Any  { return interfaceIs(expr.MetaKeyIIFNAME) }
func loopbackOut() []expr.Any { return interfaceIs(expr.MetaKeyOIFNAME) }

func interfaceIs(key expr.MetaKey) []expr.Any {
	lo := make([]byte, unix.IFNAMSIZ)
	copy(lo, "lo")
	return []expr.Any{
		&expr.Meta{Key: key, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: lo},
	}
}

func verdict(k expr.VerdictKind) []expr.Any { return []expr.Any{&expr.Verdict{Kind: k}} }

func jump(c *nftables.Chain) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: c.Name}}
}
