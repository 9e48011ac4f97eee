package host

import (
	"slices"
	"strings"
)

// index is a sorted set of strings: a list of sorted chunks of bounded size,
// which is a B-tree of two levels. The zero index is empty.
type index struct{ chunks [][]string }

const chunkMax = 512

// find returns the first chunk that may hold key, and where in it key is or
// belongs.
func (x *index) find(key string) (chunk, at int, found bool) {
	chunk, _ = slices.BinarySearchFunc(x.chunks, key, func(c []string, key string) int {
		return strings.Compare(c[len(c)-1], key)
	})
	if chunk == len(x.chunks) {
		return chunk, 0, false
	}
	at, found = slices.BinarySearch(x.chunks[chunk], key)
	return chunk, at, found
}

// add adds key, which is not in the index.
func (x *index) add(key string) {
	i, at, _ := x.find(key)
	switch {
	case len(x.chunks) == 0:
		x.chunks = [][]string{nil}
	case i == len(x.chunks): // beyond all: the end of the last chunk
		i--
		at = len(x.chunks[i])
	}
	c := slices.Insert(x.chunks[i], at, key)
	x.chunks[i] = c
	if len(c) > chunkMax {
		half := len(c) / 2
		if i == len(x.chunks)-1 && at == len(c)-1 {
			half = len(c) - 1 // keys come in order, as a log's do: leave full chunks behind
		}
		x.chunks[i] = c[:half:half]
		x.chunks = slices.Insert(x.chunks, i+1, slices.Clone(c[half:]))
	}
}

// remove removes key, which is in the index.
func (x *index) remove(key string) {
	i, at, _ := x.find(key)
	x.chunks[i] = slices.Delete(x.chunks[i], at, at+1)
	if len(x.chunks[i]) == 0 {
		x.chunks = slices.Delete(x.chunks, i, i+1)
	}
}

// prefixed returns the keys that begin with prefix, in a slice of their own.
func (x *index) prefixed(prefix string) []string {
	var keys []string
	i, at, _ := x.find(prefix)
	for ; i < len(x.chunks); i, at = i+1, 0 {
		c := x.chunks[i][at:]
		if strings.HasPrefix(c[len(c)-1], prefix) {
			keys = append(keys, c...)
			continue
		}
		n, _ := slices.BinarySearchFunc(c, prefix, func(key, prefix string) int {
			if strings.HasPrefix(key, prefix) {
				return -1
			}
			return 1
		})
		return append(keys, c[:n]...)
	}
	return keys
}
