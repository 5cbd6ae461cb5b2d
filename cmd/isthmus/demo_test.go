package main_test

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// TestDemo runs the demo as people do, with everything real: once to prove that it works, and once
// more with what the first one left, until Ctrl-C.
func TestDemo(t *testing.T) {
	programs, data := meshtest.Build(t), passable(t)
	demo := func(args ...string) *exec.Cmd {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		t.Cleanup(cancel)
		command := exec.CommandContext(ctx, programs.Isthmus, append([]string{"demo", "--data", data, "--envoy", programs.Envoy,
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

// readyWithin is the promise to those who try the demo, its programs and Envoy being there.
const readyWithin = 20 * time.Second

// TestDemoOfAnybody runs the demo as a user who may nothing, with a home of its own: it is soon there, the shop
// answers, its own load loses nothing, and Ctrl-C ends it all.
func TestDemoOfAnybody(t *testing.T) {
	programs, home := meshtest.Build(t), passable(t)
	data := filepath.Join(home, ".isthmus", "demo")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	demo := exec.CommandContext(ctx, programs.Isthmus, "demo", "--envoy", programs.Envoy,
		"--port-base", "26443", "--ingress-port", "26080", "--network", "127.73.0")
	demo.Cancel = func() error { return demo.Process.Signal(os.Interrupt) }
	demo.Stderr, demo.WaitDelay = t.Output(), time.Minute
	beNobody(t, demo, home)
	began, said, offered := time.Now(), map[string]string{}, ""
	follow(t, demo, data, func(line string) (end bool) {
		key, rest, _ := strings.Cut(line, " ")
		switch {
		case strings.HasPrefix(line, "The shop is open:"):
			if took := time.Since(began); took > readyWithin {
				t.Errorf("ready after %v, want %v at most", took, readyWithin)
			}
			mustAnswer(t, strings.Fields(line)[4])
			said["open"] = line
		case strings.HasPrefix(line, "  "):
			offered += line + "\n"
		case key == "requests":
			if said[key] == "" {
				mustWork(t, home, offered)
			}
			said[key] = rest
		}
		return key == "requests"
	})
	if !regexp.MustCompile(`^[1-9][0-9]*, failed 0;`).MatchString(said["requests"]) || said["open"] == "" {
		t.Errorf("the demo said %q", said)
	}
	nothingIsLeft(t, data)
}

// mustWork types what the demo offers to try: to set the environment, and three commands.
func mustWork(t *testing.T, home, lines string) {
	if count := strings.Count(lines, "\n"); count != 4 || !strings.HasPrefix(lines, "  export KUBECONFIG=") {
		t.Errorf("the demo offers %d lines:\n%s", count, lines)
	}
	shell := exec.CommandContext(t.Context(), "sh", "-e", "-c", lines)
	beNobody(t, shell, home)
	out, err := shell.CombinedOutput()
	for _, word := range []string{"workspace.isthmus.dev/shop", "reviews configured", "All is well."} {
		if err != nil || !bytes.Contains(out, []byte(word)) {
			t.Errorf("%v, and %q is wanted of\n%s%s", err, word, lines, out)
		}
	}
}

// TestDemoSaysWhyNot starts demos that cannot run: one sentence each, and exit code 1.
func TestDemoSaysWhyNot(t *testing.T) {
	programs := meshtest.Build(t)
	taken, err := net.Listen("tcp", "127.0.0.1:25443")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct {
		name, want string
		args       []string
	}{
		{"PortTaken", "127.0.0.1:25443, which the demo needs for the hub's API, is taken: ", []string{"--envoy", programs.Envoy, "--port-base", "25443"}},
		{"NoPython", "python3 is not in PATH and Envoy comes as a Python package: install python3", []string{"--port-base", "25543"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			home := passable(t)
			demo := exec.CommandContext(t.Context(), programs.Isthmus, append([]string{"demo", "--ingress-port", "25080", "--network", "127.74.0"}, c.args...)...)
			beNobody(t, demo, home)
			demo.Env = []string{"HOME=" + home, "PATH=" + home} // where nothing is
			var said bytes.Buffer
			demo.Stderr = &said
			err := demo.Run()
			if demo.ProcessState.ExitCode() != 1 || !strings.HasPrefix(said.String(), "isthmus: "+c.want) || strings.Count(said.String(), "\n") != 1 {
				t.Errorf("%v, it said %q, want one line: %q", err, &said, c.want)
			}
			nothingIsLeft(t, home)
		})
	}
}

// beNobody has a command run in a home of its own, which root's test gives to nobody. Another user's is what it is.
func beNobody(t *testing.T, command *exec.Cmd, home string) {
	const nobody = 65534
	command.Dir, command.Env = home, []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
	if os.Getuid() != 0 {
		return
	}
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if err := os.Chown(home, nobody, nobody); err != nil {
		t.Fatal(err)
	}
}

func mustAnswer(t *testing.T, url string) {
	answer, err := http.Get(url)
	if err != nil {
		t.Error(err)
		return
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("%s answered %s", url, answer.Status)
	}
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
	follow(t, demo, data, func(line string) bool { return strings.HasPrefix(line, "Ctrl-C ends everything.") })
}

// follow runs a demo and shows each line it prints to a function, until that wants the end for the first time;
// then it presses Ctrl-C. It must be wanted once.
func follow(t *testing.T, demo *exec.Cmd, data string, see func(line string) (end bool)) {
	out, err := demo.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	ending := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		t.Log(lines.Text())
		if see(lines.Text()) && !ending {
			ending = true
			if err := demo.Process.Signal(syscall.SIGINT); err != nil {
				t.Error(err)
			}
		}
	}
	if err := demo.Wait(); err != nil || !ending {
		t.Errorf("ready: %v, end: %v, logs:\n%s", ending, err, logs(data))
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
