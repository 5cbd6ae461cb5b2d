package meshtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/tools/cache"
	"github.com/isthmus-mesh/isthmus/tools/envoy"
	"github.com/isthmus-mesh/isthmus/tools/kubectl"
)

// Binaries are the programs a world is made of, by path.
type Binaries struct{ Isthmus, Agent, Shop, Envoy, Kubectl string }

// buildTimeout is for a machine on which nothing is compiled yet.
const buildTimeout = 25 * time.Minute

// Build builds our programs from the sources as they are, and finds the others. It is done once a
// process; processes that test other packages wait for each other and find it done.
func Build(t testing.TB) Binaries {
	t.Helper()
	built, err := buildOnce()
	if err != nil {
		t.Fatalf("building what is to be tested: %v", err)
	}
	return built
}

var buildOnce = sync.OnceValues(func() (Binaries, error) {
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	root, err := moduleRoot(ctx)
	if err != nil {
		return Binaries{}, err
	}
	dir, err := binDir(root)
	if err != nil {
		return Binaries{}, err
	}
	unlock, err := cache.Lock(ctx, filepath.Join(dir, "lock"))
	if err != nil {
		return Binaries{}, err
	}
	defer unlock()
	b := Binaries{Isthmus: filepath.Join(dir, "isthmus"), Agent: filepath.Join(dir, "isthmus-agent"), Shop: filepath.Join(dir, "shop")}
	if err := buildOurs(ctx, root, dir); err != nil {
		return b, err
	}
	if b.Envoy, err = publicEnvoy(ctx, dir); err != nil {
		return b, err
	}
	b.Kubectl, err = kubectl.Path(ctx, os.Stderr)
	return b, err
})

func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f={{.Dir}}", "github.com/isthmus-mesh/isthmus").Output()
	return string(bytes.TrimSpace(out)), err
}

// binDir is a folder that every user may read, because applications on machines run as other users; it is
// the same for every test of a checkout, so that only what changed is linked again.
func binDir(root string) (string, error) {
	sum := sha256.Sum256([]byte(root))
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("isthmus-test-%d-%x", os.Getuid(), sum[:4]))
	return dir, os.MkdirAll(dir, 0o755)
}

// ldflags are those of the Makefile: the embedded API server has no version of its own without.
const ldflags = "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.1 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36"

func buildOurs(ctx context.Context, root, dir string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags="+ldflags, "-o="+dir+"/", "./cmd/isthmus", "./cmd/isthmus-agent", "./examples/shop")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
	}
	return nil
}

// publicEnvoy is a copy of the pinned Envoy that every user may run; the cache may lie in a home
// that others cannot enter.
func publicEnvoy(ctx context.Context, dir string) (string, error) {
	private, err := envoy.Path(ctx, os.Stderr)
	if err != nil {
		return "", err
	}
	return PublicCopy(ctx, private, filepath.Join(dir, "envoy-"+envoy.Version, "envoy"))
}

// PublicCopy copies a file, once, to where every user may read and run it, and returns that path.
func PublicCopy(ctx context.Context, private, public string) (string, error) {
	return cache.File(ctx, public, func(temp string) error { return copyProgram(private, temp) })
}

func copyProgram(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(target, source); err != nil {
		target.Close()
		return err
	}
	return target.Close()
}
