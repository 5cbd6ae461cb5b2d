package compiler_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/isthmus-mesh/isthmus/compiler"
)

var update = flag.Bool("update", false, "rewrite what the archives in testdata expect")

// TestArchives compiles the input of every archive in testdata and compares everything that comes
// out with what the archive says. In an archive stand, in this order:
//
//	a comment: what the case shows
//	*.yaml    objects, applied file by file
//	*.delete  lines KIND/NAMESPACE/NAME, deleted
//	want/...  what follows: the configuration of every zone, what the last file changed, statuses
//
// Rewrite with: go test ./compiler -run Archives -update
func TestArchives(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { runArchive(t, file) })
	}
}

func runArchive(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	var input, want []txtar.File
	for _, f := range archive.Files {
		if strings.HasPrefix(f.Name, "want/") {
			want = append(want, f)
			continue
		}
		input = append(input, f)
		w.apply(f)
	}
	got := w.want()
	validate(t, w.compiler.Zone("dc1"))
	validate(t, w.compiler.Zone("dc2"))
	validate(t, w.compiler.Zone("prod-1"))
	validate(t, w.compiler.Zone("prod-2"))
	if *update {
		out := txtar.Format(&txtar.Archive{Comment: archive.Comment, Files: append(input, got...)})
		if err := os.WriteFile(file, out, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(text(want), text(got)); diff != "" {
		t.Errorf("%s (- says, + came out; rewrite with -update):\n%s", file, diff)
	}
}

func text(files []txtar.File) string {
	return string(txtar.Format(&txtar.Archive{Files: files}))
}

// world is a compiler and everything that came out of it so far.
type world struct {
	t        *testing.T
	compiler *compiler.Compiler
	revision int64
	last     *compiler.Output
	zones    map[string]bool
	statuses map[string]compiler.ObjectStatus
}

func newWorld(t *testing.T) *world {
	return &world{t: t, compiler: compiler.New(compiler.Options{TrustDomain: "isthmus.local"}),
		zones: make(map[string]bool), statuses: make(map[string]compiler.ObjectStatus)}
}

func (w *world) apply(f txtar.File) {
	w.t.Helper()
	w.revision++
	var changes []compiler.Change
	if strings.HasSuffix(f.Name, ".delete") {
		changes = deletions(string(f.Data))
	} else {
		changes = objects(w.t, f.Name, f.Data)
	}
	w.take(changes)
}

// take applies changes and keeps what comes out.
func (w *world) take(changes []compiler.Change) {
	w.last = w.compiler.Apply(w.revision, changes)
	for zone := range w.last.Zones {
		w.zones[zone] = true
	}
	final := make(map[string]any, len(changes))
	for _, c := range changes {
		final[changeName(c)] = c.Object
	}
	maps.DeleteFunc(w.statuses, func(name string, _ compiler.ObjectStatus) bool {
		object, changed := final[name]
		return changed && object == nil
	})
	for _, status := range w.last.Statuses {
		w.statuses[statusName(status)] = status
	}
}

func statusName(s compiler.ObjectStatus) string { return s.Kind + "/" + s.Namespace + "/" + s.Name }

// want is what an archive says that follows from its input.
func (w *world) want() []txtar.File {
	var files []txtar.File
	zones := make([]string, 0, len(w.zones))
	for zone := range w.zones {
		zones = append(zones, zone)
	}
	slices.Sort(zones)
	for _, zone := range zones {
		files = append(files, txtar.File{Name: "want/zone-" + zone + ".yaml", Data: renderZone(w.t, w.compiler.Zone(zone))})
	}
	if w.revision > 1 {
		files = append(files, txtar.File{Name: "want/last-change.txt", Data: renderDeltas(w.last)})
	}
	return append(files, txtar.File{Name: "want/status.txt", Data: w.renderStatuses()})
}

// renderDeltas lists what the last file changed in which zone.
func renderDeltas(out *compiler.Output) []byte {
	var b bytes.Buffer
	zones := make([]string, 0, len(out.Zones))
	for zone := range out.Zones {
		zones = append(zones, zone)
	}
	slices.Sort(zones)
	for _, zone := range zones {
		for _, resource := range out.Zones[zone].Upserts {
			fmt.Fprintf(&b, "%s + %s\n", zone, resource.Name)
		}
		for _, name := range out.Zones[zone].Removed {
			fmt.Fprintf(&b, "%s - %s\n", zone, name)
		}
	}
	for _, status := range out.Statuses {
		fmt.Fprintf(&b, "status %s\n", statusName(status))
	}
	return b.Bytes()
}
