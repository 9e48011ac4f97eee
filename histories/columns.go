package histories

import (
	"encoding/json"
	"slices"
)

// columns is a history as a struct of arrays: 33 bytes an op and its value,
// none of them pointers. What few ops have lies in columns that cost nothing
// where they are empty.
//
// Columns only grow. What a History took from a Builder it shares with it, and
// never sees what came later: slices are longer then, not different. The one
// exception is pair, see Builder.push.
type columns struct {
	meta  []uint8 // Type, and final
	f     []uint32
	proc  []Process
	time  []Time
	pair  []int32 // index of the other half of the call, or -1
	value []span

	node    sparse[uint32]
	key     sparse[uint32]
	err     sparse[uint32]
	lamport sparse[uint64]
	ext     sparse[span] // JSON members without braces, sorted by name

	strings []string          // what f, node and err refer to; the first is ""
	keys    []json.RawMessage // what key refers to; the first is nil
	chunks  [][]byte          // what spans refer to
}

// grow makes room for rows in all, so that they need not be copied as they
// come. It may be wrong.
func (c *columns) grow(rows int) {
	if more := rows - len(c.meta); more > 0 {
		c.meta = slices.Grow(c.meta, more)
		c.f = slices.Grow(c.f, more)
		c.proc = slices.Grow(c.proc, more)
		c.time = slices.Grow(c.time, more)
		c.pair = slices.Grow(c.pair, more)
		c.value = slices.Grow(c.value, more)
	}
}

const (
	metaType  = 7
	metaFinal = 8
)

// A span is a piece of the arena. The zero span is nothing.
type span struct{ chunk, from, len uint32 }

func (c *columns) bytes(s span) []byte {
	if s.len == 0 {
		return nil
	}
	return c.chunks[s.chunk][s.from : s.from+s.len : s.from+s.len]
}

// The arena's chunks double from chunkMin to chunkMax, so that small histories
// are small and large ones are never copied as they grow.
const (
	chunkMin = 1 << 10
	chunkMax = 1 << 20
)

// An arena keeps bytes in few allocations. Chunks have their full length from
// the start: only what lies beyond used is ever written.
type arena struct{ used int }

func (a *arena) put(c *columns, b []byte) span {
	if len(b) == 0 {
		return span{}
	}
	n := len(c.chunks)
	if n == 0 || a.used+len(b) > len(c.chunks[n-1]) {
		size := chunkMax
		if n < 10 {
			size = chunkMin << n
		}
		c.chunks = append(c.chunks, make([]byte, max(size, len(b))))
		a.used = 0
		n++
	}
	s := span{uint32(n - 1), uint32(a.used), uint32(len(b))}
	copy(c.chunks[n-1][a.used:], b)
	a.used += len(b)
	return s
}

// page is how many rows of a sparse column are allocated together.
const page = 512

// A sparse column has the zero value wherever nothing was put. Rows are put in
// ascending order.
type sparse[T comparable] struct{ pages [][]T }

func (s *sparse[T]) put(row int, v T) {
	var zero T
	if v == zero {
		return
	}
	k := row / page
	if k >= len(s.pages) {
		for k > len(s.pages) {
			s.pages = append(s.pages, nil)
		}
		s.pages = append(s.pages, make([]T, page))
	}
	s.pages[k][row%page] = v
}

func (s *sparse[T]) at(row int) (v T) {
	if k := row / page; k < len(s.pages) && s.pages[k] != nil {
		return s.pages[k][row%page]
	}
	return v
}
