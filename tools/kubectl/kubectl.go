// Package kubectl builds upstream's kubectl once per machine, for tests that prove that the hub's
// API is what Kubernetes users know.
//
// It is compiled from the module in upstream/, whose versions are those of the main module: it is of
// the version that the hub embeds and shares compiled packages with it. From a shell,
// "go run ./tools/kubectl/build" prints the path.
package kubectl

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/isthmus-mesh/isthmus/tools/gobuild"
)

const (
	module       = "tools/kubectl/upstream"
	sourceModule = "k8s.io/kubernetes"
)

// Path returns the file of kubectl. The first time it builds it, which takes seconds where the
// hub is compiled already and minutes elsewhere; it says so on progress. The working directory
// must be inside the module, as in a test.
func Path(ctx context.Context, progress io.Writer) (string, error) {
	version, err := gobuild.Go(ctx, "list", "-m", "-f={{.Version}}", sourceModule) // pinned alike here and there
	if err != nil {
		return "", err
	}
	return gobuild.Program{
		Name: "kubectl", Module: module, Package: sourceModule + "/cmd/kubectl", LinkerFlags: linkerFlags(version),
	}.Path(ctx, progress)
}

// linkerFlags state the version: kubectl refuses to speak of one it cannot parse.
func linkerFlags(version string) string {
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	const variable = "-X k8s.io/component-base/version."
	return fmt.Sprintf("%[1]sgitVersion=%[2]s %[1]sgitMajor=%[3]s %[1]sgitMinor=%[4]s", variable, version, major, minor)
}
