// Package kubectl builds upstream's kubectl once per machine, for tests that prove that the hub's
// API is what Kubernetes users know.
//
// It is compiled from the module in upstream/, whose versions are those of the main module: it is of
// the version that the hub embeds and shares compiled packages with it. From a shell,
// "go run ./tools/kubectl/build" prints the path.
package kubectl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/isthmus-mesh/isthmus/tools/cache"
)

const (
	ourModule    = "github.com/isthmus-mesh/isthmus"
	sourceModule = "k8s.io/kubernetes"
	mainPackage  = sourceModule + "/cmd/kubectl"
)

// Path returns the file of kubectl. The first time it builds it, which takes seconds where the
// hub is compiled already and minutes elsewhere; it says so on progress. The working directory
// must be inside the module, as in a test.
func Path(ctx context.Context, progress io.Writer) (string, error) {
	upstream, err := goCommand(ctx, "list", "-m", "-f={{.Dir}}/tools/kubectl/upstream", ourModule)
	if err != nil {
		return "", err
	}
	version, err := goCommand(ctx, "list", "-C="+upstream, "-m", "-f={{.Version}}", sourceModule)
	if err != nil {
		return "", err
	}
	root, err := cache.Dir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "kubectl", version+"-"+runtime.Version(), "kubectl")
	return cache.File(ctx, path, func(temp string) error {
		fmt.Fprintf(progress, "kubectl: building %s (once)\n", version)
		_, err := goCommand(ctx, "build", "-C="+upstream, "-o="+temp, "-ldflags="+linkerFlags(version), mainPackage)
		return err
	})
}

// linkerFlags state the version: kubectl refuses to speak of one it cannot parse.
func linkerFlags(version string) string {
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	const variable = "-X k8s.io/component-base/version."
	return fmt.Sprintf("-s -w %[1]sgitVersion=%[2]s %[1]sgitMajor=%[3]s %[1]sgitMinor=%[4]s", variable, version, major, minor)
}

func goCommand(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as everything else is built
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err), errors.New(strings.TrimSpace(stderr.String())))
	}
	return strings.TrimSpace(string(out)), nil
}
