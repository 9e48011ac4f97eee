package histories

import (
	"cmp"
	"io"
)

// readValues reads ops that need not each be on one line: those of a JSON
// array, as elle-cli has them, or one after the other, as jq prints them.
func (r *reader) readValues(in io.Reader, file string, array bool) (torn int, err error) {
	v := values{window: newWindow(in, r.o.record())}
	at := func(i int, err error) error { return v.atLine(file, i, v.inLine(err)) }
	more, err := v.next()
	if array && err == nil {
		v.i++
		more, err = v.next()
	}
	var one []byte // an op, on one line
	for n := 0; err == nil; n++ {
		switch {
		case !more && array:
			return 1, nil
		case !more:
			return 0, nil
		case array && v.b[v.i] == ']' && n == 0:
			return 0, v.nothingAfter(file)
		}
		end, err := v.value()
		if err == errCut {
			return 1, nil
		}
		if err != nil {
			return 0, at(end, err)
		}
		one = appendRaw(one[:0], v.b[v.i:end])
		if err := r.line(v.lineOf(v.i), one); err != nil {
			return 0, v.atLine(file, v.i, err)
		}
		v.i = end
		if more, err = v.next(); err != nil {
			return 0, at(v.i, err)
		}
		if !array || !more {
			continue
		}
		switch v.b[v.i] {
		case ',':
			v.i++
		case ']':
			return 0, v.nothingAfter(file)
		default:
			return 0, at(v.i, wrong(v.b, v.i, "a comma or ]"))
		}
		if more, err = v.next(); err != nil {
			return 0, at(v.i, err)
		}
	}
	return 0, at(v.i, err)
}

// values is a text of JSON values.
type values struct {
	*window
	i int // of what is to be read, in b
}

// next skips white space, and tells whether there is anything behind it.
func (v *values) next() (bool, error) {
	for {
		if v.i = skipSpace(v.b, v.i); v.i < len(v.b) {
			return true, nil
		}
		if v.end {
			return false, nil
		}
		if err := v.more(v.i); err != nil {
			return false, err
		}
		v.i = 0
	}
}

// value returns where the value at b[i] ends, or, with an error, where that is.
// It fails with errCut if the text ends before the value does.
func (v *values) value() (end int, err error) {
	for {
		end, err = skipValue(v.b, v.i, 0)
		if v.end || err != errCut && end < len(v.b) {
			return end, cmp.Or(err, v.fits(end-v.i))
		}
		if err := v.more(v.i); err != nil {
			return v.i, err
		}
		v.i = 0
	}
}

// nothingAfter sees that the bracket at b[i] is the end of the file.
func (v *values) nothingAfter(file string) error {
	v.i++
	more, err := v.next()
	if err == nil && more {
		err = wrong(v.b, v.i, "the end of the file")
	}
	if err != nil {
		return v.atLine(file, v.i, v.inLine(err))
	}
	return nil
}
