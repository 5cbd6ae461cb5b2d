package meshtest

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/isthmus-mesh/isthmus/meshtest/netns"
)

func TestFullDiskRefusesUntilFreed(t *testing.T) {
	netns.Require(t)
	disk := mountDisk(t, filepath.Join(t.TempDir(), "disk"), 1<<20)
	path := filepath.Join(disk.Path, "file")
	disk.Fill()
	if err := os.WriteFile(path, []byte("text"), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("writing to a full disk: %v", err)
	}
	disk.Free()
	if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Errorf("writing when there is room again: %v", err)
	}
}
