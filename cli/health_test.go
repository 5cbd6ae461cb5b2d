package cli

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	view "github.com/isthmus-mesh/isthmus/api/view/v1alpha1"
	"github.com/isthmus-mesh/isthmus/cli/hubclient"
)

// TestHealth reads archives: the objects of a mesh (state), and what status says of it (words).
// With -update the words are rewritten.
func TestHealth(t *testing.T) {
	files, err := filepath.Glob("testdata/health/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { checkHealth(t, file) })
	}
}

func checkHealth(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var words bytes.Buffer
	if err := examine("https://hub:7443", readState(t, archive.Files[0].Data)).words(&words); err != nil {
		t.Fatal(err)
	}
	if flag.Lookup("update").Value.String() == "true" {
		archive.Files[1].Data = words.Bytes()
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(string(archive.Files[1].Data), words.String()); d != "" {
		t.Errorf("words (-want +got), rewrite with go test ./cli -update:\n%s", d)
	}
}

func readState(t *testing.T, text []byte) (s hubclient.State) {
	for _, document := range bytes.Split(text, []byte("---\n")) {
		var object unstructured.Unstructured
		if err := yaml.Unmarshal(document, &object.Object); err != nil {
			t.Fatal(err)
		}
		switch object.GetKind() {
		case "NotReady":
			s.NotReady, _, _ = unstructured.NestedString(object.Object, "message")
		case "Zone":
			s.Zones = append(s.Zones, as[v1alpha1.Zone](t, object))
		case "Revision":
			s.Revisions = append(s.Revisions, as[view.Revision](t, object))
		case "Workload":
			s.Workloads = append(s.Workloads, as[view.Workload](t, object))
		case "Proxy":
			s.Proxies = append(s.Proxies, as[view.Proxy](t, object))
		default:
			s.Objects = append(s.Objects, object)
		}
	}
	return s
}

func as[T any](t *testing.T, object unstructured.Unstructured) (one T) {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &one); err != nil {
		t.Fatalf("%s %s: %v", object.GetKind(), object.GetName(), err)
	}
	return one
}
