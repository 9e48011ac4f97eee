package generators

// vector is an immutable array without end, of zeros at first: a radix tree
// of 16-fold pages, of which a change copies one a level. The zero vector is
// ready.
type vector[T any] struct {
	height int // levels below the root
	root   page[T]
}

// page has children above the lowest level and values on it; the empty page
// has neither.
type page[T any] struct {
	children *[16]page[T]
	values   *[16]T
}

// at returns element i.
func (v vector[T]) at(i int) (t T) {
	if i>>(4*v.height) >= 16 {
		return t
	}
	p := v.root
	for h := v.height; h > 0 && p.children != nil; h-- {
		p = p.children[i>>(4*h)&15]
	}
	if p.values == nil {
		return t
	}
	return p.values[i&15]
}

// with is v with t at i.
func (v vector[T]) with(i int, t T) vector[T] {
	for i>>(4*v.height) >= 16 {
		if v.root != (page[T]{}) {
			v.root = page[T]{children: &[16]page[T]{v.root}}
		}
		v.height++
	}
	v.root = v.root.with(v.height, i, t)
	return v
}

func (p page[T]) with(height, i int, t T) page[T] {
	if height == 0 {
		var values [16]T
		if p.values != nil {
			values = *p.values
		}
		values[i&15] = t
		return page[T]{values: &values}
	}
	var children [16]page[T]
	if p.children != nil {
		children = *p.children
	}
	at := &children[i>>(4*height)&15]
	*at = at.with(height-1, i, t)
	return page[T]{children: &children}
}
