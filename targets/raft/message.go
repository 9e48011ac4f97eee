package raft

import (
	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/torture-harness/torture/node"
)

// What nodes say to each other.
type (
	// message is raft's own; proposals and questions for a read index are among
	// them, on their way to the leader.
	message struct{ *pb.Message }

	// expelled tells its receiver that it was no member as of Index. Raft tells
	// a node everything but that: who is removed hears no more.
	expelled struct{ Index uint64 }
)

// Messages is the codec of what nodes say to each other.
var Messages = node.Messages(message{}, expelled{})

// AppendBinary implements encoding.BinaryAppender.
func (m message) AppendBinary(b []byte) ([]byte, error) {
	return proto.MarshalOptions{}.MarshalAppend(b, m.Message)
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (m *message) UnmarshalBinary(b []byte) error {
	m.Message = &pb.Message{}
	return proto.Unmarshal(b, m.Message)
}
