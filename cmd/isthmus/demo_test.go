package main_test

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDemo runs the demo as people do, with everything real: once to prove that it works, and once
// more with what the first one left, until Ctrl-C.
func TestDemo(t *testing.T) {
	bin, data := build(t), passable(t)
	demo := func(args ...string) *exec.Cmd {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		t.Cleanup(cancel)
		command := exec.CommandContext(ctx, filepath.Join(bin, "isthmus"), append([]string{"demo", "--data", data,
			"--port-base", "27443", "--ingress-port", "27080", "--network", "127.72.0"}, args...)...)
		command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
		command.WaitDelay = time.Minute
		command.Stderr = t.Output()
		return command
	}
	t.Run("Check", func(t *testing.T) {
		out, err := demo("--check").Output()
		t.Logf("%s", out)
		if err != nil || !bytes.Contains(out, []byte("[9/9] checking … ")) {
			t.Errorf("%v, logs:\n%s", err, logs(data))
		}
		nothingIsLeft(t, data)
	})
	root := read(t, data, "hub/pki/root/certificate.pem")
	t.Run("AgainUntilInterrupted", func(t *testing.T) {
		interruptWhenReady(t, demo(), data)
		nothingIsLeft(t, data)
	})
	if again := read(t, data, "hub/pki/root/certificate.pem"); again != root {
		t.Error("the second demo made a mesh of its own instead of using the data of the first")
	}
}

// build builds the three programs into a folder.
func build(t *testing.T) string {
	bin := t.TempDir()
	command := exec.CommandContext(t.Context(), "go", "build", "-o", bin, ".", "../isthmus-agent", "../../examples/shop")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return bin
}

// passable is a folder whose parents anybody may pass: root's Envoys are another user's.
func passable(t *testing.T) string {
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func interruptWhenReady(t *testing.T, demo *exec.Cmd, data string) {
	out, err := demo.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	ready := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		t.Log(lines.Text())
		if strings.HasPrefix(lines.Text(), "Ctrl-C ends everything.") {
			ready = true
			if err := demo.Process.Signal(syscall.SIGINT); err != nil {
				t.Error(err)
			}
		}
	}
	if err := demo.Wait(); err != nil || !ready {
		t.Errorf("ready: %v, end: %v, logs:\n%s", ready, err, logs(data))
	}
}

// nothingIsLeft looks for processes that name the folder in their command line.
func nothingIsLeft(t *testing.T, data string) {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range lines {
		if text, err := os.ReadFile(file); err == nil && bytes.Contains(text, []byte(data)) {
			t.Errorf("%s is left: %s", filepath.Dir(file), bytes.ReplaceAll(text, []byte{0}, []byte{' '}))
		}
	}
}

func read(t *testing.T, data, file string) string {
	text, err := os.ReadFile(filepath.Join(data, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// logs are the ends of all logs, for a failure.
func logs(data string) string {
	files, _ := filepath.Glob(filepath.Join(data, "logs", "*.log"))
	var all strings.Builder
	for _, file := range files {
		text, _ := os.ReadFile(file)
		all.WriteString("== " + filepath.Base(file) + "\n" + string(text[max(0, len(text)-2000):]))
	}
	return all.String()
}
