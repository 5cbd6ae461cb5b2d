package journal_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/isthmus-mesh/isthmus/edge/journal"
)

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j := open(t, path)
	write(t, j, map[string]string{"a": "1", "b": "2", "empty": ""})
	check(t, j.Write(map[string][]byte{"a": []byte("3"), "b": nil}))
	check(t, j.Close())
	want(t, open(t, path), map[string]string{"a": "3", "empty": ""})
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
}

// TestEveryCut cuts the file after each byte, as a crash may: what was written before the cut's
// record must be there, and nothing of that record.
func TestEveryCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j := open(t, path)
	write(t, j, map[string]string{"a": "first"})
	before := read(t, path)
	write(t, j, map[string]string{"a": "second", "b": "second"})
	whole := read(t, path)
	check(t, j.Close())
	for n := len(before); n < len(whole); n++ {
		check(t, os.WriteFile(path, whole[:n], 0o600))
		cut := open(t, path)
		want(t, cut, map[string]string{"a": "first"})
		write(t, cut, map[string]string{"c": "third"})
		check(t, cut.Close())
		want(t, open(t, path), map[string]string{"a": "first", "c": "third"})
	}
}

func TestDamageIsLoud(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j := open(t, path)
	write(t, j, map[string]string{"a": "first"})
	first := len(read(t, path))
	write(t, j, map[string]string{"b": "second"})
	write(t, j, map[string]string{"c": "third"})
	check(t, j.Close())
	whole := read(t, path)
	for name, c := range map[string]struct {
		at   int
		want map[string]string
	}{"Header": {3, nil}, "FirstRecord": {first - 1, nil}, "SecondRecord": {first + 10, map[string]string{"a": "first"}}} {
		t.Run(name, func(t *testing.T) {
			raw := append([]byte(nil), whole...)
			raw[c.at] ^= 0x40
			check(t, os.WriteFile(path, raw, 0o600))
			j, err := journal.Open(path)
			if !errors.Is(err, journal.ErrCorrupt) {
				t.Fatalf("got %v, want ErrCorrupt", err)
			}
			want(t, j, c.want)
			if string(read(t, path+".damaged")) != string(raw) {
				t.Error("the damaged file is not set aside")
			}
			write(t, j, map[string]string{"new": "1"})
			check(t, j.Close())
			after := maps.Clone(c.want)
			if after == nil {
				after = map[string]string{}
			}
			after["new"] = "1"
			want(t, open(t, path), after)
		})
	}
}

func TestHistoryIsDropped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j := open(t, path)
	value := make([]byte, 100_000)
	for i := range 200 {
		value[0] = byte(i)
		check(t, j.Write(map[string][]byte{"k": append([]byte(nil), value...)}))
	}
	if n := len(read(t, path)); n > 2<<20 {
		t.Errorf("a journal of 100 kB takes %d bytes", n)
	}
	check(t, j.Close())
	if got := open(t, path).All()["k"]; len(got) != len(value) || got[0] != 199 {
		t.Errorf("the newest value is lost: %d bytes beginning with %d", len(got), got[0])
	}
}

// TestFullDisk uses a file system of its own: it needs root, which continuous integration has.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("mount a small file system: %v", err)
		}
		t.Skipf("needs root to mount a small file system: %v", err)
	}
	t.Cleanup(func() { check(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	path := filepath.Join(dir, "j")
	j := open(t, path)
	write(t, j, map[string]string{"a": "1"})
	check(t, os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 48<<10), 0o600))
	if err := j.Write(map[string][]byte{"big": make([]byte, 30<<10)}); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("writing to a full disk: %v, want ENOSPC", err)
	}
	if err := j.Retry(); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("retrying on a full disk: %v, want ENOSPC", err)
	}
	if got := j.All(); len(got) != 2 {
		t.Errorf("memory has %d keys, want both", len(got))
	}
	want(t, open(t, path), map[string]string{"a": "1"})
	check(t, os.Remove(filepath.Join(dir, "ballast")))
	check(t, j.Retry())
	check(t, j.Close())
	if got := open(t, path).All(); len(got["big"]) != 30<<10 || string(got["a"]) != "1" {
		t.Errorf("after the disk was freed: %d keys", len(got))
	}
}

func FuzzOpen(f *testing.F) {
	path := filepath.Join(f.TempDir(), "seed")
	j, err := journal.Open(path)
	if err != nil {
		f.Fatal(err)
	}
	if err := j.Write(map[string][]byte{"a": []byte("1"), "b": nil}); err != nil {
		f.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := filepath.Join(t.TempDir(), "j")
		check(t, os.WriteFile(path, raw, 0o600))
		j, err := journal.Open(path)
		if err != nil && !errors.Is(err, journal.ErrCorrupt) {
			t.Fatal(err)
		}
		before := j.All()
		check(t, j.Write(map[string][]byte{"fuzz": []byte("x")}))
		check(t, j.Close())
		before["fuzz"] = []byte("x")
		if got := open(t, path).All(); !maps.EqualFunc(got, before, func(a, b []byte) bool { return string(a) == string(b) }) {
			t.Errorf("came back with %q, want %q", got, before)
		}
	})
}

func open(t *testing.T, path string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(path)
	check(t, err)
	t.Cleanup(func() { j.Close() })
	return j
}

func write(t *testing.T, j *journal.Journal, batch map[string]string) {
	t.Helper()
	raw := map[string][]byte{}
	for k, v := range batch {
		raw[k] = []byte(v)
	}
	check(t, j.Write(raw))
}

func want(t *testing.T, j *journal.Journal, content map[string]string) {
	t.Helper()
	got := map[string]string{}
	for k, v := range j.All() {
		got[k] = string(v)
	}
	if fmt.Sprint(got) != fmt.Sprint(content) && len(got)+len(content) > 0 {
		t.Errorf("journal holds %q, want %q", got, content)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	check(t, err)
	return raw
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
