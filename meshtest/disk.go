package meshtest

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// Disk is a small file system of its own, that can be filled.
type Disk struct {
	Path string

	t testing.TB
}

// SmallDisk mounts a disk of a size in bytes at a folder of the machine, for programs that are started
// afterwards. It goes with the test.
func (m *Machine) SmallDisk(name string, size int) *Disk {
	m.w.t.Helper()
	return mountDisk(m.w.t, m.Dir(name), size)
}

func mountDisk(t testing.TB, path string, size int) *Disk {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("isthmus-test", path, "tmpfs", 0, "size="+strconv.Itoa(size)); err != nil {
		t.Fatalf("mounting a disk at %s: %v", path, err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(path, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmounting %s: %v", path, err)
		}
	})
	return &Disk{path, t}
}

// ballast is the file that fills a disk.
func (d *Disk) ballast() string { return filepath.Join(d.Path, ".ballast") }

// Fill leaves no byte free.
func (d *Disk) Fill() {
	d.t.Helper()
	file, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer file.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = file.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatalf("filling %s: %v", d.Path, err)
	}
}

// Free makes room again.
func (d *Disk) Free() {
	d.t.Helper()
	if err := os.Remove(d.ballast()); err != nil {
		d.t.Fatal(err)
	}
}
