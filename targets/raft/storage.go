package raft

import (
	"google.golang.org/protobuf/proto"

	etcd "go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/torture-harness/torture/node"
)

// storage is raft's stable storage: in memory for raft to read, and on the
// node's disk under the keys hard, snap and log/INDEX. It implements
// etcd.Storage.
type storage struct {
	hard *pb.HardState
	snap *pb.Snapshot
	// entries are the log. The first is there for its index and term alone: it
	// is the last that has been compacted away. Slices of the others are in
	// raft's hands: none is overwritten in place.
	entries []*pb.Entry
}

var _ etcd.Storage = (*storage)(nil)

// open reads the storage from disk. The disk of a first boot gets what all n
// nodes of a new group begin with, not yet synced: an empty snapshot at index
// 1, so that raft sends a snapshot to whoever has even less.
func open(env *node.Env, n int) *storage {
	s := &storage{hard: &pb.HardState{}, snap: &pb.Snapshot{}}
	var b []byte
	if !env.Read("snap", &b) {
		conf := &pb.ConfState{AutoLeave: new(false)}
		for i := range n {
			conf.Voters = append(conf.Voters, uint64(i+1))
		}
		first := &pb.Snapshot{
			Data:     newMachine().encode(false),
			Metadata: &pb.SnapshotMetadata{ConfState: conf, Index: new(uint64(1)), Term: new(uint64(1))},
		}
		s.save(env, &pb.HardState{Term: new(uint64(1)), Vote: new(uint64(0)), Commit: new(uint64(1))}, nil, first)
		return s
	}
	unmarshal(b, s.snap)
	env.Read("hard", &b)
	unmarshal(b, s.hard)
	for _, key := range env.Keys("log/") {
		e := &pb.Entry{}
		env.Read(key, &b)
		unmarshal(b, e)
		s.entries = append(s.entries, e)
	}
	return s
}

// save writes a Ready's part of the state to memory and, as one batch, to disk.
func (s *storage) save(env *node.Env, hard *pb.HardState, entries []*pb.Entry, snap *pb.Snapshot) {
	var changes []node.Change
	if !etcd.IsEmptySnap(snap) {
		for _, e := range s.entries {
			changes = append(changes, node.Del(key(e.GetIndex())))
		}
		base := &pb.Entry{Index: snap.Metadata.Index, Term: snap.Metadata.Term}
		s.snap, s.entries = snap, []*pb.Entry{base}
		changes = append(changes, node.Put("snap", marshal(snap)), put(base))
	}
	if len(entries) > 0 {
		keep := entries[0].GetIndex() - s.base()
		last := entries[len(entries)-1].GetIndex()
		for i := last + 1; i <= s.last(); i++ {
			changes = append(changes, node.Del(key(i)))
		}
		if keep < uint64(len(s.entries)) {
			s.entries = s.entries[:keep:keep]
		}
		s.entries = append(s.entries, entries...)
		for _, e := range entries {
			changes = append(changes, put(e))
		}
	}
	if !etcd.IsEmptyHardState(hard) {
		s.hard = hard
		changes = append(changes, node.Put("hard", marshal(hard)))
	}
	if len(changes) > 0 {
		env.Batch(changes...)
	}
}

// snapshot stores the state as of index, which the log has, and drops what of
// the log is older than trail entries before. Nothing rests on it, so it need
// not be synced.
func (s *storage) snapshot(env *node.Env, index uint64, conf *pb.ConfState, data []byte, trail uint64) {
	term, err := s.Term(index)
	if err != nil {
		panic(err)
	}
	s.snap = &pb.Snapshot{
		Data:     data,
		Metadata: &pb.SnapshotMetadata{ConfState: conf, Index: &index, Term: &term},
	}
	changes := []node.Change{node.Put("snap", marshal(s.snap))}
	if base := s.base(); index > base+trail {
		cut := index - trail - base
		for _, e := range s.entries[:cut] {
			changes = append(changes, node.Del(key(e.GetIndex())))
		}
		s.entries = append([]*pb.Entry(nil), s.entries[cut:]...)
	}
	env.Batch(changes...)
}

// withoutVote is hard as a planted bug stores it: the vote is forgotten, and
// the term is that of the last entry.
func (s *storage) withoutVote(hard *pb.HardState, entries []*pb.Entry) *pb.HardState {
	if etcd.IsEmptyHardState(hard) {
		return hard
	}
	last := s.entries[len(s.entries)-1]
	if len(entries) > 0 {
		last = entries[len(entries)-1]
	}
	return &pb.HardState{Term: last.Term, Vote: new(uint64(0)), Commit: hard.Commit}
}

func (s *storage) base() uint64 { return s.entries[0].GetIndex() }
func (s *storage) last() uint64 { return s.base() + uint64(len(s.entries)) - 1 }

// InitialState implements etcd.Storage.
func (s *storage) InitialState() (*pb.HardState, *pb.ConfState, error) {
	return s.hard, s.snap.GetMetadata().GetConfState(), nil
}

// Entries implements etcd.Storage.
func (s *storage) Entries(lo, hi, bytesMax uint64) ([]*pb.Entry, error) {
	if lo <= s.base() {
		return nil, etcd.ErrCompacted
	}
	if hi > s.last()+1 {
		return nil, etcd.ErrUnavailable
	}
	entries := s.entries[lo-s.base() : hi-s.base()]
	size := uint64(0)
	for i, e := range entries {
		if size += uint64(proto.Size(e)); i > 0 && size > bytesMax {
			entries = entries[:i]
			break
		}
	}
	return entries[:len(entries):len(entries)], nil
}

// Term implements etcd.Storage.
func (s *storage) Term(i uint64) (uint64, error) {
	switch {
	case i < s.base():
		return 0, etcd.ErrCompacted
	case i > s.last():
		return 0, etcd.ErrUnavailable
	}
	return s.entries[i-s.base()].GetTerm(), nil
}

// LastIndex implements etcd.Storage.
func (s *storage) LastIndex() (uint64, error) { return s.last(), nil }

// FirstIndex implements etcd.Storage.
func (s *storage) FirstIndex() (uint64, error) { return s.base() + 1, nil }

// Snapshot implements etcd.Storage.
func (s *storage) Snapshot() (*pb.Snapshot, error) { return s.snap, nil }

// key is where the entry of that index lies on disk. Keys sort as indices do.
func key(index uint64) string {
	const digits = "0123456789abcdef"
	b := []byte("log/0000000000000000")
	for i := len(b) - 1; index > 0; i-- {
		b[i] = digits[index%16]
		index /= 16
	}
	return string(b)
}

func put(e *pb.Entry) node.Change { return node.Put(key(e.GetIndex()), marshal(e)) }

func marshal(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

func unmarshal(b []byte, m proto.Message) {
	if err := proto.Unmarshal(b, m); err != nil {
		panic(err)
	}
}
