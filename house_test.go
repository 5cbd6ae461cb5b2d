// Package isthmus_test holds the rules of the house: which package may import which, what every
// package and file must look like, and that the documentation is true. A rule that fails says why
// it exists.
package isthmus_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/format"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "rewrite generated documentation instead of comparing it")

const module = "github.com/isthmus-mesh/isthmus/"

// listed is a package as "go list -json" tells it.
type listed struct {
	ImportPath, Name, Doc  string
	GoFiles, Imports, Deps []string
}

// goList asks once for what several rules look at.
var goList = sync.OnceValues(func() ([]listed, error) {
	out, err := exec.Command("go", "list", "-e", "-json=ImportPath,Name,Doc,GoFiles,Imports,Deps", "./...").Output()
	if err != nil {
		return nil, err
	}
	var all []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := decoder.Decode(&p); err == io.EOF {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
		if len(p.GoFiles) > 0 { // others hold only tests, like this one
			all = append(all, p)
		}
	}
})

// packages returns ours, by path within the module.
func packages(t *testing.T) []listed {
	t.Helper()
	all, err := goList()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return all
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		start := "Package " + p.Name + " "
		if p.Name == "main" {
			start = "Command " + filepath.Base(p.ImportPath) + " "
		}
		if !strings.HasPrefix(p.Doc, start) {
			t.Errorf("%s: the package comment must begin with %q, so that go doc and docs/architecture.md can quote it; it begins with %.40q", p.ImportPath, start, p.Doc)
		}
	}
}

// files calls visit with every file of the repository that has one of the extensions.
func files(t *testing.T, visit func(path string, data []byte), extensions ...string) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (path == ".git" || path == "bin" || entry.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if entry.IsDir() || !slices.Contains(extensions, filepath.Ext(path)) {
			return nil
		}
		data, err := os.ReadFile(path)
		if err == nil {
			visit(path, data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

var generatedMark = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

func TestGoFilesAreFormatted(t *testing.T) {
	files(t, func(path string, data []byte) {
		if want, err := format.Source(data); err != nil {
			t.Errorf("%s: %v", path, err)
		} else if !bytes.Equal(want, data) {
			t.Errorf("%s: run gofmt -w %s", path, path)
		}
	}, ".go")
}

// longest is where a file begins to hold more than one noun.
const longest = 300

func TestGoFilesAreShort(t *testing.T) {
	files(t, func(path string, data []byte) {
		lines := bytes.Count(data, []byte("\n"))
		if lines > longest && !strings.HasSuffix(path, "_test.go") && !generatedMark.Match(data) {
			t.Errorf("%s has %d lines, more than %d: find the second noun in it and give it a file", path, lines, longest)
		}
	}, ".go")
}

// drawer is a name that says where things are put instead of what they are.
var drawer = regexp.MustCompile(`(?i)(^|[/_])(utils?|common|helpers?|managers?|misc|shared|stuff)([/_.]|$)`)

func TestNoDrawers(t *testing.T) {
	files(t, func(path string, data []byte) {
		if drawer.MatchString(filepath.ToSlash(path)) && !generatedMark.Match(data) {
			t.Errorf("%s: name it for what it does or keeps", path)
		}
	}, ".go")
}

// unfinished is what must not be promised in a comment.
var unfinished = regexp.MustCompile(`\b(` + strings.Join([]string{"TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK", "for n" + "ow", "place" + "holder"}, "|") + `)\b`)

// machinePath is a path that exists on one machine only.
var machinePath = regexp.MustCompile(`(^|[\s"'(` + "`" + `=])/(root|home/[a-z]+|tmp/[a-z]+|work)/`)

func TestNothingIsLeftUnfinished(t *testing.T) {
	files(t, func(path string, data []byte) {
		if generatedMark.Match(data) || strings.HasPrefix(path, "api/crd/") {
			return
		}
		for number, line := range strings.Split(string(data), "\n") {
			if found := unfinished.FindString(line); found != "" {
				t.Errorf("%s:%d: %q: do it, or write an issue", path, number+1, found)
			}
			if found := machinePath.FindString(line); found != "" {
				t.Errorf("%s:%d: %q is a path of somebody's machine", path, number+1, found)
			}
		}
	}, ".go", ".md", ".sh", ".yaml", ".yml", ".proto", ".txtar", ".html")
}
