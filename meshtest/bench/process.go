package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program under measurement, its output in a file.
type process struct {
	*exec.Cmd
	log *os.File
}

func start(dir, name string, argv ...string) (*process, error) {
	log, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &process{cmd, log}, nil
}

// stop ends the process by a signal and waits for it.
func (p *process) stop(signal os.Signal) {
	_ = p.Process.Signal(signal)
	_ = p.Wait()
	_ = p.log.Close()
}

// residentMB is the process' resident set now, in MB.
func (p *process) residentMB() float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if field := strings.Fields(line); len(field) > 1 && field[0] == "VmRSS:" {
			kB, _ := strconv.ParseFloat(field[1], 64)
			return kB / 1024
		}
	}
	return 0
}

// swarmProcess is the third process; orders go in, answers come out.
type swarmProcess struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	// ill is how the first workload was left: a flip to the same would reach nobody.
	ill bool
}

func startSwarm() (*swarmProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-swarm")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &swarmProcess{Cmd: cmd, in: in, out: bufio.NewReader(out)}, cmd.Start()
}

func (s *swarmProcess) send(o order) error { return json.NewEncoder(s.in).Encode(o) }

func (s *swarmProcess) receive() (a answer, err error) {
	line, err := s.out.ReadBytes('\n')
	if err != nil {
		return a, fmt.Errorf("swarm: %w", err)
	}
	if err := json.Unmarshal(line, &a); err != nil {
		return a, err
	}
	if a.Error != "" {
		return a, fmt.Errorf("swarm: %s", a.Error)
	}
	return a, nil
}

func (s *swarmProcess) ask(o order) (answer, error) {
	if err := s.send(o); err != nil {
		return answer{}, err
	}
	return s.receive()
}

// freePort is one nobody listens on now.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// eventually tries until it works, for at most a minute.
func eventually(ctx context.Context, what string, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
