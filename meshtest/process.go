package meshtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a program of the world. It is started again by Start after it ended, with a log that goes on.
type Process struct {
	// Name of the program and of its log.
	Name string

	t       testing.TB
	logPath string
	command func() *exec.Cmd

	mu  sync.Mutex
	run *run // nil before the first start
}

// run is one life of a process.
type run struct {
	pid  int
	done chan struct{} // closed when it ended
	err  error         // how; set before done is closed
}

// NewProcess makes a process that does not run yet. When the test ends it is stopped, and the end of its log
// is shown if the test failed.
func NewProcess(t testing.TB, dir, name string, command func() *exec.Cmd) *Process {
	p := &Process{Name: name, t: t, logPath: filepath.Join(dir, name+".log"), command: command}
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() {
			t.Logf("the end of the log of %s:\n%s", name, lastLines(p.Log(), shownLines))
		}
	})
	return p
}

// Start starts the program, which must not be running.
func (p *Process) Start() {
	p.t.Helper()
	if p.Running() {
		p.t.Fatalf("%s runs already", p.Name)
	}
	log, err := os.OpenFile(p.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close() // the child has its own
	cmd := p.command()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		p.t.Fatalf("starting %s: %v", p.Name, err)
	}
	life := &run{pid: cmd.Process.Pid, done: make(chan struct{})}
	go func() {
		life.err = cmd.Wait()
		close(life.done)
	}()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.run = life
}

func (p *Process) life() *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.run
}

// Running is whether the program was started and has not ended.
func (p *Process) Running() bool {
	life := p.life()
	if life == nil {
		return false
	}
	select {
	case <-life.done:
		return false
	default:
		return true
	}
}

// PID is the process' number; 0 before it was started.
func (p *Process) PID() int {
	if life := p.life(); life != nil {
		return life.pid
	}
	return 0
}

// Signal sends a signal to the program alone, not to what it started.
func (p *Process) Signal(signal syscall.Signal) {
	if p.Running() {
		syscall.Kill(p.PID(), signal) // it may end meanwhile
	}
}

// Kill ends the program as kill -9 does, at once; what it started lives on.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	p.Wait()
}

// stopTimeout is how long a program may take to end by itself.
const stopTimeout = 30 * time.Second

// Stop asks the program to end, and waits until it has; one that takes longer than half a minute is
// killed, with everything it started, and fails the test.
func (p *Process) Stop() {
	if !p.Running() {
		return
	}
	p.Signal(syscall.SIGTERM)
	p.Resume()
	timeout := time.AfterFunc(stopTimeout, func() {
		p.t.Errorf("%s did not end within %v of SIGTERM", p.Name, stopTimeout)
		syscall.Kill(-p.PID(), syscall.SIGKILL)
	})
	defer timeout.Stop()
	p.Wait()
}

// Pause stops the program where it is, as a machine that hangs does; Resume lets it go on.
func (p *Process) Pause() { p.Signal(syscall.SIGSTOP) }

// Resume lets a paused program go on.
func (p *Process) Resume() { p.Signal(syscall.SIGCONT) }

// Wait waits until the program has ended, and returns how.
func (p *Process) Wait() error {
	life := p.life()
	if life == nil {
		return nil
	}
	<-life.done
	return life.err
}

// Log is what the program has written in all its lives.
func (p *Process) Log() string {
	text, err := os.ReadFile(p.logPath)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// MustRun is an error if the program has ended: waiting for what it should do is in vain then.
func (p *Process) MustRun() {
	p.t.Helper()
	if !p.Running() {
		p.t.Fatalf("%s has ended: %v\n%s", p.Name, p.Wait(), lastLines(p.Log(), shownLines))
	}
}

// RSS is the resident memory of the program, in bytes.
func (p *Process) RSS() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.PID()))
	if err != nil {
		return 0, err
	}
	var size, resident int64
	_, err = fmt.Sscan(string(text), &size, &resident)
	return resident * int64(os.Getpagesize()), err
}

// ProcessorTime is what a program has used of processors, to a hundredth of a second.
func ProcessorTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name may hold spaces
	fields := strings.Fields(rest)
	user, errUser := strconv.Atoi(fields[11])
	system, errSystem := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(errUser, errSystem) // USER_HZ is 100
}

// shownLines of a log are shown with a failure.
const shownLines = 60

func lastLines(text string, count int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > count {
		lines = append([]string{fmt.Sprintf("(%d lines before)", len(lines)-count)}, lines[len(lines)-count:]...)
	}
	return strings.Join(lines, "\n")
}
