package host

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/torture-harness/torture/node"
)

// A frame is what a link carries:
//
//	length  4 bytes, little endian, of what follows
//	kind    1 byte
//	lamport 8 bytes, little endian: the sender's Lamport time
//	from    1 byte for the length, then the sender's id
//	body    the rest: a message of the node's codec, or a nonce
type frame struct {
	kind    frameKind
	lamport uint64
	from    node.ID
	body    []byte
}

type frameKind uint8

const (
	messageFrame frameKind = iota + 1
	pingFrame              // asks for a pong with its nonce
	pongFrame
	probeFrame // leaves its nonce with the receiver
)

const (
	idMax      = 64
	frameHead  = 1 + 8 + 1
	frameMax   = 64 << 20
	frameFirst = 1 << 16 // allocated before the sender has proved the length
)

func appendFrame(dst []byte, f frame) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(frameHead+len(f.from)+len(f.body)))
	dst = append(dst, byte(f.kind))
	dst = binary.LittleEndian.AppendUint64(dst, f.lamport)
	dst = append(dst, byte(len(f.from)))
	dst = append(dst, f.from...)
	return append(dst, f.body...)
}

// parseFrame reads what follows the length. The body is a part of b.
func parseFrame(b []byte) (frame, error) {
	if len(b) < frameHead || len(b) < frameHead+int(b[9]) {
		return frame{}, fmt.Errorf("a frame of %d bytes is too short", len(b))
	}
	n := frameHead + int(b[9])
	f := frame{frameKind(b[0]), binary.LittleEndian.Uint64(b[1:]), node.ID(b[frameHead:n]), b[n:]}
	if f.kind < messageFrame || f.kind > probeFrame {
		return frame{}, fmt.Errorf("a frame of the unknown kind %d", f.kind)
	}
	return f, nil
}

// readFrame reads the next frame into memory of its own.
func readFrame(r *bufio.Reader) (frame, error) {
	head, err := r.Peek(4)
	if err != nil {
		return frame{}, err
	}
	length := binary.LittleEndian.Uint32(head)
	if length > frameMax {
		return frame{}, fmt.Errorf("a frame of %d bytes is too long: at most %d", length, frameMax)
	}
	n := int(length)
	if _, err := r.Discard(4); err != nil {
		return frame{}, err
	}
	b := make([]byte, min(n, frameFirst))
	if _, err := io.ReadFull(r, b); err != nil {
		return frame{}, fmt.Errorf("a frame of %d bytes: %w", n, err)
	}
	for len(b) < n {
		more := min(n-len(b), len(b))
		b = append(b, make([]byte, more)...)
		if _, err := io.ReadFull(r, b[len(b)-more:]); err != nil {
			return frame{}, fmt.Errorf("a frame of %d bytes: %w", n, err)
		}
	}
	return parseFrame(b)
}
