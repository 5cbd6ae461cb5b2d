package isthmus_test

import (
	"slices"
	"strings"
	"testing"
)

// row is a storey of the house. A package imports packages of lower rows; of its own row only
// those of the same program.
type row struct {
	name     string
	reason   string
	packages []string // exact, or "folder/..." for all under a folder but not the folder itself
}

// rows stand from the ground up; every package of ours stands in one.
var rows = []row{
	{"nouns", "what everybody speaks of; they know nobody", []string{"api/...", "compiler/plan", "durable", "feed/feedpb", "machine/machinepb"}},
	{"names and proofs", "who is who; every row above trusts it, so it trusts only nouns", []string{"identity", "identity/..."}},
	{"decisions", "pure: the same input gives the same output, so they can be tested as text and run twice", []string{"compiler", "compiler/..."}},
	{"protocols", "both ends of a line side by side, so that they cannot drift apart", []string{"feed", "machine", "feed/...", "machine/..."}},
	{"tools", "what building, testing and the demo fetch or show", []string{"tools/...", "examples"}},
	{"doors and parts", "one technology or one task each; what belongs to another program is passed in by an interface", []string{"hub/...", "edge/...", "agent/...", "cli/...", "deploy"}},
	{"programs", "they wire doors and decisions together and do not know each other: they may run on different continents", []string{"hub", "edge", "agent"}},
	{"command line", "one command a file; it runs the programs", []string{"cli"}},
	{"cmd", "flags and wiring", []string{"cmd/..."}},
	{"worlds", "tests and measurements start the programs as users do, and look inside where they must", []string{"meshtest", "meshtest/...", "docs/..."}},
	{"examples", "applications know nothing of the mesh", []string{"examples/..."}},
}

// rowOf finds the row of the closest pattern; -1 if there is none.
func rowOf(path string) int {
	found, closest := -1, 0
	for number, row := range rows {
		for _, pattern := range row.packages {
			folder, subtree := strings.CutSuffix(pattern, "...")
			if path != pattern && !(subtree && strings.HasPrefix(path, folder)) {
				continue
			}
			if length := len(pattern); length > closest {
				found, closest = number, length
			}
		}
	}
	return found
}

// sameProgram is whether two packages lie in the same top folder.
func sameProgram(a, b string) bool {
	first, _, _ := strings.Cut(a, "/")
	second, _, _ := strings.Cut(b, "/")
	return first == second
}

func TestImportsRunOneWay(t *testing.T) {
	for _, p := range packages(t) {
		from := rowOf(p.ImportPath)
		if from < 0 {
			t.Errorf("%s stands in no row: find its row in house_imports_test.go", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			path, ours := strings.CutPrefix(imported, module)
			if to := rowOf(path); ours && !allowed(from, to, p.ImportPath, path) {
				t.Errorf("%s (%s) imports %s (%s)\n%s: %s", p.ImportPath, rows[from].name, path, rows[to].name, rows[from].name, rows[from].reason)
			}
		}
	}
}

func allowed(from, to int, importer, imported string) bool {
	if from != to {
		return to < from
	}
	free := map[string]bool{"nouns": true, "decisions": true, "tools": true, "worlds": true} // rows whose packages may use each other
	return free[rows[from].name] || sameProgram(importer, imported)
}

// door says who alone imports a heavy or dangerous dependency.
type door struct {
	dependency string // a prefix of import paths
	packages   []string
	reason     string
}

var doors = []door{
	{"istio.io/istio/pilot/", []string{"edge/pilot"}, "a new Istio is work in one folder"},
	{"istio.io/istio/", []string{"edge/pilot", "compiler/istio"}, "a new Istio is work in two folders; the compiler takes only its validation"},
	{"istio.io/api/", []string{"edge/pilot", "edge/kube", "compiler/istio"}, "the plan is free of vendors"},
	{"k8s.io/client-go/", []string{"edge/kube", "hub", "cli", "meshtest", "deploy"}, "in a zone's cluster only one package reads and writes"},
	{"k8s.io/client-go/tools/leaderelection", []string{"edge/kube"}, "who writes into a cluster is decided where it is written"},
	{"k8s.io/apiserver/", []string{"hub/apiserver"}, "the hub's API is one folder"},
	{"k8s.io/apiextensions-apiserver/", []string{"hub/apiserver"}, "the hub's API is one folder"},
	{"k8s.io/kubernetes/", []string{"hub/apiserver"}, "the hub's API is one folder"},
	{"go.etcd.io/", []string{"hub/apiserver"}, "the storage is behind the API"},
	{"k8s.io/kubectl/", []string{"cli"}, "kubectl's verbs are hung on our tree in one place"},
	{"k8s.io/cli-runtime/", []string{"cli"}, "kubectl's verbs are hung on our tree in one place"},
	{"helm.sh/helm/v4/pkg/action", nil, "we render charts; installing is Helm's business, and that of tests"},
	{"helm.sh/helm/", []string{"deploy"}, "one place renders, and brings what it needs and no more"},
	{"github.com/miekg/dns", []string{"agent/dns", "meshtest/netns"}, "names are answered in one place"},
	{"github.com/spf13/cobra", []string{"cli", "cmd"}, "programs take values, not flags"},
}

func TestHeavyDependenciesHaveOneDoor(t *testing.T) {
	for _, p := range packages(t) {
		for _, door := range doors {
			for _, imported := range p.Imports {
				if strings.HasPrefix(imported, door.dependency) && !under(p.ImportPath, door.packages) {
					t.Errorf("%s imports %s, whose door is %s: %s", p.ImportPath, imported, strings.Join(door.packages, ", "), door.reason)
				}
			}
		}
	}
}

// wall says what must not be reached even through others.
type wall struct {
	packages  []string
	forbidden []string // prefixes of import paths
	reason    string
}

var walls = []wall{
	{[]string{"agent", "machine", "identity", "cmd/isthmus-agent"}, []string{"istio.io/", "k8s.io/", "sigs.k8s.io/", "go.etcd.io/"},
		"the agent runs on every machine: it is small, and a hole in the control plane's libraries is none in it"},
	{[]string{"edge/kube"}, []string{module + "edge", "istio.io/istio/"}, "a cluster has its own istiod: its door needs Istio's nouns only"},
	{[]string{"edge/pilot"}, []string{module + "edge"}, "Istio moves fast: its door is opened from outside only"},
	{[]string{"hub/apiserver"}, []string{module + "hub"}, "Kubernetes moves fast: its door is opened from outside only"},
	{[]string{"examples/shop"}, []string{module + "api", module + "agent", "istio.io/", "k8s.io/"},
		"an application knows nothing of the mesh"},
	{[]string{"tools"}, []string{"istio.io/", "k8s.io/", "google.golang.org/grpc"},
		"tools are built before anything else and must build in a second"},
}

func TestWallsHold(t *testing.T) {
	for _, p := range packages(t) {
		for _, wall := range walls {
			if !under(p.ImportPath, wall.packages) {
				continue
			}
			for _, dep := range p.Deps {
				own := under(strings.TrimPrefix(dep, module), wall.packages)
				if under(dep, wall.forbidden) && !own {
					t.Errorf("%s depends on %s: %s", p.ImportPath, dep, wall.reason)
					break
				}
			}
		}
	}
}

// A decision that looks at the clock, the disk or the network can give two answers.
var impure = []string{"os", "os/exec", "net", "net/http", "math/rand", "math/rand/v2", "log/slog", "log", "crypto/rand"}

func TestCompilerIsPure(t *testing.T) {
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			if under(p.ImportPath, []string{"compiler"}) && slices.Contains(impure, imported) {
				t.Errorf("%s imports %s: the compiler is pure, so that hubs agree and what-if costs nothing", p.ImportPath, imported)
			}
		}
	}
}

// under is whether path is one of the roots or lies below one.
func under(path string, roots []string) bool {
	for _, root := range roots {
		root = strings.TrimSuffix(root, "/")
		if path == root || strings.HasPrefix(path, root+"/") {
			return true
		}
	}
	return false
}

func TestRowsAreFoundByTheClosestPattern(t *testing.T) {
	for path, want := range map[string]string{
		"compiler": "decisions", "compiler/plan": "nouns", "compiler/istio": "decisions", "hub": "programs",
		"hub/apiserver/openapi": "doors and parts", "examples": "tools", "examples/shop": "examples", "feed/feedpb": "nouns", "feed": "protocols", "meshtest/net": "worlds",
	} {
		if got := rows[rowOf(path)].name; got != want {
			t.Errorf("%s is among the %s, want %s", path, got, want)
		}
	}
	if rowOf("attic") >= 0 {
		t.Error("an unknown package has a row")
	}
}
