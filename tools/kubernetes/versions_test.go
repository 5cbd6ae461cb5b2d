package kubernetes

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var required = regexp.MustCompile(`(?m)^(?:require)?\s+(\S+) (v\S+)`)

func versions(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, match := range required.FindAllStringSubmatch(string(text), -1) {
		found[match[1]] = match[2]
	}
	return found
}

// A module of other versions would be compiled beside the product instead of with it, and its programs would
// not be what the product embeds.
func TestUpstreamsVersionsAreOurs(t *testing.T) {
	root := filepath.Join("..", "..")
	ours := versions(t, filepath.Join(root, "go.mod"))
	modules, err := filepath.Glob(filepath.Join(root, "tools", "*", "upstream", "go.mod"))
	if err != nil || len(modules) < 2 {
		t.Fatalf("modules %v, %v", modules, err)
	}
	for _, module := range modules {
		alike := 0
		for name, version := range versions(t, module) {
			if want, both := ours[name]; both && version != want {
				t.Errorf("%s requires %s %s, the main module %s", module, name, version, want)
			} else if both {
				alike++
			}
		}
		if alike == 0 {
			t.Errorf("%s: no requirement was read", module)
		}
	}
}
