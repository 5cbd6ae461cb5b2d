package durable_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/isthmus-mesh/isthmus/durable"
)

func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, content := range []string{"one", "", "another"} {
		if err := durable.WriteFile(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("%q, %v, want %q", got, err, content)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// What cannot be put in place leaves the old content, and nothing beside it.
func TestWriteFileFails(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "taken")
	if err := os.MkdirAll(filepath.Join(path, "inside"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(path, []byte("content")); err == nil {
		t.Error("a folder was replaced")
	}
	if found, err := os.ReadDir(folder); err != nil || len(found) != 1 {
		t.Errorf("%v, %v", found, err)
	}
	if err := durable.WriteFile(filepath.Join(folder, "nowhere", "file"), nil); err == nil {
		t.Error("a file was written into a folder that is not there")
	}
}
