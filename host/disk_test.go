package host

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/torture-harness/torture/node"
	"go.uber.org/zap"
)

func mustOpenDisk(t testing.TB, path string, compactMin int64) *disk {
	t.Helper()
	d, err := openDisk(path, false, compactMin, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.file.Close() })
	return d
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestDiskModel runs random batches, syncs and boots against a map.
func TestDiskModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	path := filepath.Join(t.TempDir(), "disk.log")
	d := mustOpenDisk(t, path, 2000)
	model := map[string]string{}
	compactions := int64(0)
	for i := range 8_000 {
		switch r.IntN(50) {
		case 0:
			must(t, d.flush())
			compactions += d.stats.compactions.Load()
			must(t, d.file.Close())
			d = mustOpenDisk(t, path, 2000)
		case 1, 2, 3:
			must(t, d.sync())
		case 4:
			prefix := fmt.Sprint(r.IntN(12))
			var want []string
			for _, k := range slices.Sorted(maps.Keys(model)) {
				if strings.HasPrefix(k, prefix) {
					want = append(want, k)
				}
			}
			if got := d.Keys(prefix); !slices.Equal(got, want) {
				t.Fatalf("step %d: keys with prefix %s: got %q, want %q", i, prefix, got, want)
			}
		default:
			var batch []node.Change
			for range r.IntN(4) {
				k, v := fmt.Sprint(r.IntN(300)), fmt.Sprint(i)
				if r.IntN(3) == 0 {
					batch = append(batch, node.Del(k))
					delete(model, k)
				} else {
					batch = append(batch, node.Put(k, []byte(v)))
					model[k] = v
				}
			}
			d.write(batch)
			must(t, d.compact(true))
		}
		k := fmt.Sprint(r.IntN(300))
		got, ok := d.Read(k)
		want, wantOK := model[k]
		if string(got) != want || ok != wantOK {
			t.Fatalf("step %d: key %s: got %q %v, want %q %v", i, k, got, ok, want, wantOK)
		}
		if len(d.Keys("")) != len(model) {
			t.Fatalf("step %d: %d keys, want %d", i, len(d.Keys("")), len(model))
		}
	}
	if compactions == 0 {
		t.Error("the file was never compacted")
	}
	if limit := 3*d.live + 8*2000; d.size > limit {
		t.Errorf("the file has %d bytes of which %d are live: want at most %d", d.size, d.live, limit)
	}
}

// sample is a log of some batches, every third followed by a sync. ends are
// where its records end.
func sample(t *testing.T, batches int) (data []byte, ends []int64) {
	path := filepath.Join(t.TempDir(), "disk.log")
	d := mustOpenDisk(t, path, 1<<30)
	for i := range batches {
		d.write([]node.Change{node.Put(fmt.Sprintf("k%d", i), []byte(strings.Repeat("v", i%5))), node.Put("last", i)})
		ends = append(ends, d.size)
		if i%3 == 2 {
			must(t, d.sync())
			ends = append(ends, d.size)
		}
	}
	must(t, d.flush())
	data, err := os.ReadFile(path)
	must(t, err)
	return data, ends
}

// prefixOf tells how many batches of sample d holds, and fails if they are not
// its first.
func prefixOf(t *testing.T, d *disk) int {
	t.Helper()
	n := 0
	for ; ; n++ {
		v, ok := d.Read(fmt.Sprintf("k%d", n))
		if !ok {
			break
		}
		if want := strings.Repeat("v", n%5); string(v) != want {
			t.Fatalf("k%d is %q, want %q", n, v, want)
		}
	}
	last, ok := d.Read("last")
	if ok != (n > 0) || ok && string(last) != fmt.Sprint(n-1) || len(d.Keys("")) != n+min(n, 1) {
		t.Fatalf("a torn batch: %d keys, last is %s, %d batches in a row", len(d.Keys("")), last, n)
	}
	return n
}

// TestDiskTorn cuts a log at every byte: what is left are the whole records
// before the cut, and the next life writes on from there.
func TestDiskTorn(t *testing.T) {
	data, ends := sample(t, 10)
	path := filepath.Join(t.TempDir(), "disk.log")
	for cut := range len(data) + 1 {
		must(t, os.WriteFile(path, data[:cut], 0o644))
		d := mustOpenDisk(t, path, 1<<30)
		want := 0
		for _, e := range ends {
			if e <= int64(cut) {
				want++
			}
		}
		want -= want / 4 // every fourth record is a mark
		if got := prefixOf(t, d); got != want {
			t.Fatalf("cut at %d: got %d batches, want %d", cut, got, want)
		}
		d.write([]node.Change{node.Put("more", cut)})
		must(t, d.sync())
		must(t, d.file.Close())
		d = mustOpenDisk(t, path, 1<<30)
		if v, _ := d.Read("more"); string(v) != fmt.Sprint(cut) {
			t.Fatalf("cut at %d: what was written next is %q after a boot", cut, v)
		}
	}
}

// TestDiskCorrupt flips a bit of every byte: damage before the last record is
// an error that names file and offset; in the last it is a torn record.
func TestDiskCorrupt(t *testing.T) {
	data, ends := sample(t, 10)
	path := filepath.Join(t.TempDir(), "disk.log")
	last := ends[len(ends)-2]
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1 << (i % 8)
		must(t, os.WriteFile(path, bad, 0o644))
		d, err := openDisk(path, false, 1<<30, zap.NewNop())
		switch {
		case int64(i) >= last:
			must(t, err)
			if got := prefixOf(t, d); got != 9 {
				t.Fatalf("byte %d: got %d batches, want 9", i, got)
			}
			must(t, d.file.Close())
		case err == nil:
			t.Fatalf("byte %d of %d was damaged and nobody noticed", i, len(data))
		case i >= len(logHeader):
			at := int64(len(logHeader))
			for _, e := range ends {
				if e <= int64(i) {
					at = e
				}
			}
			if want := fmt.Sprintf("the record at offset %d is corrupt", at); !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
				t.Fatalf("byte %d: got error %q, want %q and the file's name", i, err, want)
			}
		}
	}
}

// TestDiskEmbedded tears a record whose value holds intact records of another
// file, or of another place in this one: they are not taken for the log's own.
func TestDiskEmbedded(t *testing.T) {
	image, _ := sample(t, 3)
	path := filepath.Join(t.TempDir(), "disk.log")
	d := mustOpenDisk(t, path, 1<<30)
	d.write([]node.Change{node.Put("a", 1)})
	d.write([]node.Change{node.Put("image", image), node.Put("b", 2)})
	must(t, d.flush())
	must(t, os.Truncate(path, d.size-1))
	d = mustOpenDisk(t, path, 1<<30)
	if keys := d.Keys(""); !slices.Equal(keys, []string{"a"}) {
		t.Errorf("got the keys %q, want a alone", keys)
	}
}

// TestCompactionCrash leaves what a crash during a compaction may leave beside
// the log: part of the new file. The old one counts.
func TestCompactionCrash(t *testing.T) {
	data, _ := sample(t, 10)
	path := filepath.Join(t.TempDir(), "disk.log")
	must(t, os.WriteFile(path, data, 0o644))
	must(t, os.WriteFile(path+".new", data[:len(data)/3], 0o644))
	if got := prefixOf(t, mustOpenDisk(t, path, 1<<30)); got != 10 {
		t.Errorf("got %d batches, want 10", got)
	}
	if _, err := os.Stat(path + ".new"); !os.IsNotExist(err) {
		t.Errorf("the unfinished file is still there: %v", err)
	}
}

// TestCompactionKeepsUnsynced: compaction waits for a sync, so it does not make
// durable what the node did not sync, unless the file is far too large.
func TestCompactionKeepsUnsynced(t *testing.T) {
	d := mustOpenDisk(t, filepath.Join(t.TempDir(), "disk.log"), 1000)
	for d.size < 7000 {
		d.write([]node.Change{node.Put("k", d.size)})
		must(t, d.compact(true))
	}
	if n := d.stats.compactions.Load(); n != 0 {
		t.Fatalf("%d compactions of unsynced writes", n)
	}
	must(t, d.sync())
	if n := d.stats.compactions.Load(); n != 1 || d.size > 100 {
		t.Errorf("after the sync: %d compactions, %d bytes", n, d.size)
	}
	for d.stats.compactions.Load() == 1 {
		if d.write([]node.Change{node.Put("k", d.size)}); d.size > 9000 {
			t.Fatal("without a sync the file grows without end")
		}
		must(t, d.compact(true))
	}
}

// TestCompactionOfMuch: the new file is written in parts, fsynced, and has
// nothing that a power loss may take.
func TestCompactionOfMuch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk.log")
	d, err := openDisk(path, true, 1000, zap.NewNop())
	must(t, err)
	const keys, size = 40, 10_000
	for i := range 4 * keys {
		d.write([]node.Change{node.Put(fmt.Sprint("k", i%keys), bytes.Repeat([]byte{byte(i)}, size))})
	}
	must(t, d.sync())
	if n := d.stats.compactions.Load(); n != 1 || d.size > keys*(size+100) {
		t.Fatalf("%d compactions, %d bytes", n, d.size)
	}
	d.write([]node.Change{node.Put("more", 1)})
	must(t, d.flush())
	must(t, d.close(nil))
	data, err := os.ReadFile(path)
	must(t, err)
	parts := 0
	scan, err := scanLog(data, func([]node.Change) { parts++ })
	if err != nil || parts < 3 || len(scan.tail) != 1 {
		t.Fatalf("the file has %d parts, %d of them not synced (%v): want some, and the last", parts, len(scan.tail), err)
	}
	d = mustOpenDisk(t, path, 1<<30)
	for i := range keys {
		if v, _ := d.Read(fmt.Sprint("k", i)); !bytes.Equal(v, bytes.Repeat([]byte{byte(3*keys + i)}, size)) {
			t.Errorf("k%d is %.10v…, of %d bytes", i, v, len(v))
		}
	}
}

// TestLosePower: what a power loss leaves is a prefix of the batches that holds
// all synced ones; over some tries each possible prefix, and torn ones. The
// next power loss takes no more: what survived was on the disk.
func TestLosePower(t *testing.T) {
	data, _ := sample(t, 11) // 9 synced, 2 not
	path := filepath.Join(t.TempDir(), "disk.log")
	kept, torn := map[int]int{}, 0
	for range 300 {
		must(t, os.WriteFile(path, data, 0o644))
		l, err := losePower(path, false)
		must(t, err)
		info, err := os.Stat(path)
		must(t, err)
		d := mustOpenDisk(t, path, 1<<30)
		if n := prefixOf(t, d); n != 9+l.Kept || l.Kept+l.Lost != 2 {
			t.Fatalf("%d batches are left after a loss of %+v", n, l)
		}
		if l.Torn != (info.Size() > d.size) {
			t.Fatalf("torn is %v, but of %d bytes %d are whole records", l.Torn, info.Size(), d.size)
		}
		must(t, d.file.Close())
		again, err := losePower(path, false)
		must(t, err)
		d = mustOpenDisk(t, path, 1<<30)
		if n := prefixOf(t, d); n != 9+l.Kept || again != (loss{}) {
			t.Fatalf("%d batches are left after a loss of %+v and one of %+v", n, l, again)
		}
		must(t, d.file.Close())
		kept[l.Kept]++
		if l.Torn {
			torn++
		}
	}
	if len(kept) != 3 || torn == 0 {
		t.Errorf("in 300 losses the kept batches were %v, %d torn: want 0, 1 and 2 kept, and some torn", kept, torn)
	}
}

// TestUnsynced: what a power loss can take is counted without taking it, and so
// is a loss that the next boot enacts.
func TestUnsynced(t *testing.T) {
	dir := t.TempDir()
	want := func(batches int, doomed bool) {
		t.Helper()
		if n, later, err := Unsynced(dir); n != batches || later != doomed || err != nil {
			t.Errorf("%d batches, doomed %v, %v: want %d, %v", n, later, err, batches, doomed)
		}
	}
	want(0, false) // there is no file yet
	path := filepath.Join(dir, "disk.log")
	d := mustOpenDisk(t, path, 1<<30)
	for i := range 3 {
		d.write([]node.Change{node.Put("k", i)})
	}
	must(t, d.flush())
	want(3, false)
	must(t, d.sync())
	want(0, false)
	d.write([]node.Change{node.Put("k", 3)})
	must(t, d.flush())
	must(t, os.WriteFile(filepath.Join(dir, "power"), nil, 0o666))
	want(1, true)
	_, err := losePower(path, false)
	must(t, err)
	must(t, os.Remove(filepath.Join(dir, "power")))
	want(0, false)
}

func TestIndex(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var x index
	model := map[string]bool{}
	for i := range 30_000 {
		k := fmt.Sprintf("%05d", r.IntN(4000))
		if i%3 == 0 {
			k = fmt.Sprintf("log/%08d", i) // in order, as a log's
		}
		switch {
		case !model[k]:
			model[k] = true
			x.add(k)
		default:
			delete(model, k)
			x.remove(k)
		}
	}
	all := slices.Sorted(maps.Keys(model))
	if got := x.prefixed(""); !slices.Equal(got, all) {
		t.Fatalf("%d keys, want %d", len(got), len(all))
	}
	for _, prefix := range []string{"0", "00", "001", "03999", "log/", "log/0000", "log/00029", "m", "/"} {
		want := slices.DeleteFunc(slices.Clone(all), func(k string) bool { return !strings.HasPrefix(k, prefix) })
		if got := x.prefixed(prefix); !slices.Equal(got, want) {
			t.Errorf("prefix %q: %d keys, want %d", prefix, len(got), len(want))
		}
	}
	for _, k := range all {
		x.remove(k)
	}
	if len(x.chunks) != 0 || x.prefixed("") != nil {
		t.Errorf("an emptied index holds %v", x.chunks)
	}
}

// FuzzLog: no file makes the reader panic, and what it accepts it accepts for
// good reason: the records before the end are those that were written.
func FuzzLog(f *testing.F) {
	log := appendBatch([]byte(logHeader), 8, []node.Change{node.Put("k", "v"), node.Del("x")})
	log = appendMark(log, int64(len(log)))
	log = appendBatch(log, int64(len(log)), []node.Change{node.Put("", "")})
	f.Add(log)
	f.Add(log[:len(log)-1])
	f.Add([]byte("tort"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		again := []byte(logHeader)
		s, err := scanLog(data, func(changes []node.Change) {
			again = appendBatch(again, int64(len(again)), changes)
		})
		if err != nil {
			return
		}
		if s.end > int64(len(data)) || s.synced > s.end {
			t.Fatalf("the scan %+v exceeds %d bytes", s, len(data))
		}
		end := s.synced
		for _, e := range s.tail {
			if e <= end || e > s.end {
				t.Fatalf("the scan %+v is out of order", s)
			}
			end = e
		}
		if _, err := scanLog(again, func([]node.Change) {}); err != nil {
			t.Fatalf("batches that were read cannot be written and read: %v", err)
		}
	})
}

func FuzzBatch(f *testing.F) {
	f.Add(appendBatch(nil, 0, []node.Change{node.Put("k", "v"), node.Del("x"), node.Put("long", make([]byte, 300))})[recordHead:])
	f.Add([]byte{batchRecord, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) == 0 {
			return
		}
		changes, err := parseBatch(body)
		if err != nil {
			return
		}
		again, err := parseBatch(appendBatch(nil, 0, changes)[recordHead:])
		if err != nil || fmt.Sprint(again) != fmt.Sprint(changes) {
			t.Fatalf("got %v (%v), want %v", again, err, changes)
		}
	})
}

func BenchmarkDisk(b *testing.B) {
	d := mustOpenDisk(b, filepath.Join(b.TempDir(), "disk.log"), 4<<20)
	value := make([]byte, 100)
	for i := range b.N { // a log of 100,000 entries, each followed by the removal of the oldest
		d.write([]node.Change{node.Put(fmt.Sprintf("log/%012d", i), value), node.Del(fmt.Sprintf("log/%012d", i-100_000))})
		must(b, d.sync())
	}
}

func BenchmarkKeys(b *testing.B) {
	d := mustOpenDisk(b, filepath.Join(b.TempDir(), "disk.log"), 1<<30)
	for i := range 100_000 {
		d.write([]node.Change{node.Put(fmt.Sprintf("log/%012d", i), i)})
	}
	b.ResetTimer()
	for i := range b.N {
		d.write([]node.Change{node.Del(fmt.Sprintf("log/%012d", i%100_000))})
		if n := len(d.Keys("log/00000009999")); n > 100 {
			b.Fatal(n)
		}
	}
}
