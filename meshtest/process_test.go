package meshtest

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// recorder is a test that notes its failure instead of failing.
type recorder struct {
	testing.TB
	failures, logs []string
	cleanups       []func()
}

func (r *recorder) Errorf(format string, args ...any) { r.failures = append(r.failures, format) }
func (r *recorder) Logf(format string, args ...any) {
	r.logs = append(r.logs, fmt.Sprintf(format, args...))
}
func (r *recorder) Failed() bool     { return len(r.failures) > 0 }
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func shell(t testing.TB, script string) *Process {
	p := NewProcess(t, t.TempDir(), "shell", func() *exec.Cmd {
		cmd := exec.Command("sh", "-c", script)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		return cmd
	})
	p.Start()
	return p
}

func logContains(p *Process, texts ...string) func() error {
	return func() error {
		for _, text := range texts {
			if !strings.Contains(p.Log(), text) {
				return errors.New("the log lacks " + text)
			}
		}
		return nil
	}
}

func TestProcessStopsByItself(t *testing.T) {
	p := shell(t, `trap 'echo bye; exit 0' TERM; echo up; while true; do sleep 0.01; done`)
	Eventually(t, "it is up", logContains(p, "up"))
	p.Stop()
	if p.Running() || p.Wait() != nil || !strings.HasSuffix(p.Log(), "bye\n") {
		t.Errorf("running %v, ended %v, log %q", p.Running(), p.Wait(), p.Log())
	}
}

func TestProcessLivesAgainAfterKill(t *testing.T) {
	p := shell(t, `echo life; exec sleep 1000`)
	Eventually(t, "it lives", logContains(p, "life\n"))
	first := p.PID()
	p.Kill()
	if p.Running() {
		t.Fatal("it runs on after kill -9")
	}
	p.Start()
	Eventually(t, "it lives again, and the log goes on", logContains(p, "life\nlife\n"))
	if p.PID() == first {
		t.Error("the second life has the first one's number")
	}
}

func TestPausedProcessIsStillAndStops(t *testing.T) {
	p := shell(t, `i=0; while true; do i=$((i+1)); echo tick$i; sleep 0.01; done`)
	Eventually(t, "it ticks", logContains(p, "tick2\n"))
	p.Pause()
	still := func() bool { before := p.Log(); exec.Command("sleep", "0.1").Run(); return p.Log() == before }
	if !still() {
		t.Error("it ticks while paused")
	}
	p.Resume()
	before := p.Log()
	Eventually(t, "it ticks again", func() error {
		if p.Log() == before {
			return errors.New("no tick")
		}
		return nil
	})
	p.Pause() // the end of the test must not wait for ever
}

func TestFailedTestShowsTheEndOfLogs(t *testing.T) {
	for _, failed := range []bool{false, true} {
		r := &recorder{TB: t}
		p := NewProcess(r, t.TempDir(), "counter", func() *exec.Cmd { return exec.Command("seq", "100") })
		p.Start()
		p.Wait()
		if failed {
			r.Errorf("as if")
		}
		for _, cleanup := range r.cleanups {
			cleanup()
		}
		if shown := strings.Join(r.logs, ""); strings.Contains(shown, "log of counter:\n(40 lines before)\n41\n") != failed {
			t.Errorf("failed is %v, shown is %q", failed, shown)
		}
	}
}

func TestProcessThatWasNeverStarted(t *testing.T) {
	p := NewProcess(t, t.TempDir(), "never", func() *exec.Cmd { return exec.Command("true") })
	if p.PID() != 0 || p.Running() || p.Wait() != nil {
		t.Errorf("pid %d, running %v", p.PID(), p.Running())
	}
}

func TestMemoryOfAProcess(t *testing.T) {
	p := shell(t, `exec sleep 1000`)
	Eventually(t, "a small program has a small memory", func() error {
		if rss, err := p.RSS(); err != nil || rss < 1<<18 || rss > 1<<28 {
			return fmt.Errorf("%d bytes resident, %w", rss, err)
		}
		return nil
	})
}
