package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// program is something to start: the name of its log and the command line.
type program struct {
	name string
	path string
	args []string
	env  []string
}

// process is a program that was started. It leads a process group of its own, so that Ctrl-C in the
// terminal reaches the demo alone, which then ends the processes in order.
type process struct {
	program
	log     string
	command *exec.Cmd
	// done is closed when the process has ended; err says how, after that.
	done chan struct{}
	err  error
}

// grace is how long a process may take to end before it is killed.
const grace = 15 * time.Second

// start starts a program that writes to a log in dir/logs and is written down in dir/run, so that
// the next demo finds it if this one is killed. When the process ends it is offered to deaths.
func start(dir string, p program, deaths chan<- *process) (*process, error) {
	log := filepath.Join(dir, "logs", p.name+".log")
	file, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	command := exec.Command(p.path, p.args...)
	command.Env = append(os.Environ(), p.env...)
	command.Stdout, command.Stderr = file, file
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	started := &process{program: p, log: log, command: command, done: make(chan struct{})}
	go func() {
		defer close(started.done)
		started.err = command.Wait()
		select {
		case deaths <- started:
		default: // nobody listens any more
		}
	}()
	return started, writeDown(dir, p.name, command.Process.Pid)
}

// died is the error of a process that ended though nobody asked it to.
func (p *process) died() error {
	return fmt.Errorf("%s ended (%v): see %s%s", p.name, exitText(p.err), p.log, lastLine(p.log))
}

func exitText(err error) string {
	if err == nil {
		return "without an error"
	}
	return err.Error()
}

// lastLine is the end of a log, as the rest of a sentence.
func lastLine(log string) string {
	text, err := os.ReadFile(log)
	if err != nil || len(text) == 0 {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return ", which ends:\n  " + lines[len(lines)-1]
}

// stop ends a process, and all of its group, and returns when they are gone.
func (p *process) stop() {
	_ = p.command.Process.Signal(syscall.SIGTERM) // an error means that it has ended
	select {
	case <-p.done:
	case <-time.After(grace):
	}
	_ = syscall.Kill(-p.command.Process.Pid, syscall.SIGKILL) // what is left of the group
	<-p.done
}

// stage is a set of processes that are stopped together.
type stage []*process

// stop ends all processes of a stage at once and waits for them.
func (s stage) stop(dir string) {
	ended := make(chan struct{})
	for _, p := range s {
		go func() { p.stop(); crossOut(dir, p.name); ended <- struct{}{} }()
	}
	for range s {
		<-ended
	}
}

// until calls ask every few milliseconds until it returns nil. It ends early with an error when ctx
// does, when one of the processes dies, or after patience, with ask's last error.
func until(ctx context.Context, patience time.Duration, watched stage, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	step := time.NewTicker(20 * time.Millisecond)
	defer step.Stop()
	last, began := errors.New("not asked yet"), time.Now()
	for {
		if err := ask(ctx); err == nil {
			return nil
		} else if ctx.Err() == nil {
			last = err
		}
		for _, p := range watched {
			select {
			case <-p.done:
				return p.died()
			default:
			}
		}
		select {
		case <-step.C:
		case <-ctx.Done():
			return fmt.Errorf("gave up after %s (%w): %w", time.Since(began).Round(time.Second), ctx.Err(), last)
		}
	}
}
