// Package gobuild builds programs of other projects from their Go modules, once per machine, for
// tests that need the real ones.
//
// A program is compiled from a module of ours whose go.mod pins the versions of the main module, so
// that compiled packages are shared and the program fits what the product embeds. What is built is kept in
// the cache of package cache, under a name that says everything it depends on.
package gobuild

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
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

const ourModule = "github.com/isthmus-mesh/isthmus"

// Program is something to build.
type Program struct {
	// Name of the file.
	Name string
	// Module is the folder of the module to build in, relative to the main module's.
	Module string
	// Package to build: an import path, or a path in Module.
	Package string
	// LinkerFlags beside those that strip symbols.
	LinkerFlags string
}

// Path returns the program's file. The first time it builds it, which takes minutes where nothing of
// it is compiled yet; it says so on progress. The working directory must be inside the main module, as in
// a test.
func (p Program) Path(ctx context.Context, progress io.Writer) (string, error) {
	module, err := Go(ctx, "list", "-m", "-f={{.Dir}}/"+p.Module, ourModule)
	if err != nil {
		return "", err
	}
	key, err := p.key(module)
	if err != nil {
		return "", err
	}
	root, err := cache.Dir()
	if err != nil {
		return "", err
	}
	return cache.File(ctx, filepath.Join(root, p.Name, key, p.Name), func(temp string) error {
		fmt.Fprintf(progress, "%s: building (once)\n", p.Name)
		_, err := Go(ctx, "build", "-C="+module, "-o="+temp, "-ldflags=-s -w "+p.LinkerFlags, p.Package)
		return err
	})
}

// key names everything the program is made of: versions, source of ours, compiler, flags.
func (p Program) key(module string) (string, error) {
	sum := sha256.New()
	files := []string{filepath.Join(module, "go.mod"), filepath.Join(module, "go.sum")}
	own, err := filepath.Glob(filepath.Join(module, p.Package, "*.go"))
	if err != nil {
		return "", err
	}
	for _, file := range append(files, own...) {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		sum.Write(text)
	}
	fmt.Fprint(sum, p.Package, p.LinkerFlags)
	return runtime.Version() + "-" + hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

// Go runs the go command as everything of ours is built, and returns what it prints. Its error has the
// compiler's words, and the cause of ctx's end if that ended it.
func Go(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
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
