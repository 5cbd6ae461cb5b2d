package envoy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a running Envoy, ours or one that an earlier agent started. It is known by its id and
// the time it started, so that another process with the same id is not taken for it.
type process struct {
	PID int `json:"pid"`
	// Started in clock ticks since boot, from /proc/PID/stat.
	Started uint64 `json:"started"`
	// Boot is the machine's boot, from /proc/sys/kernel/random/boot_id.
	Boot string `json:"boot"`
	// NodeID the process runs with.
	NodeID string `json:"nodeID"`
	// Held is how many files it holds for the agent.
	Held int `json:"held"`
}

// identify reads who a process is.
func identify(pid int, nodeID string) (process, error) {
	started, err := startTime(pid)
	if err != nil {
		return process{}, err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return process{PID: pid, Started: started, Boot: strings.TrimSpace(string(boot)), NodeID: nodeID}, err
}

// startTime is field 22 of /proc/PID/stat (proc_pid_stat(5)); it refuses zombies.
func startTime(pid int) (uint64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ") // the name may hold anything
	fields := strings.Fields(rest)
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return 0, fmt.Errorf("process %d has ended", pid)
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

// lives tells whether the process still is the one written down.
func (p process) lives() bool {
	now, err := identify(p.PID, p.NodeID)
	return err == nil && now.Started == p.Started && now.Boot == p.Boot
}

// readProcess reads a process written down by [process.write]; false if none of them lives.
func readProcess(path string) (process, bool) {
	var p process
	text, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(text, &p) != nil {
		return p, false
	}
	return p, p.lives()
}

func (p process) write(path string) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o600)
}

// pollTime is how often a wait for a process looks whether it should still wait.
const pollTime = 250 * time.Millisecond

// wait returns when the process has ended, or with the error of ctx.
func (p process) wait(ctx context.Context) error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil || !p.lives() {
		if err == nil {
			unix.Close(fd)
		}
		return nil
	}
	defer unix.Close(fd)
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for ctx.Err() == nil {
		n, err := unix.Poll(fds, int(pollTime.Milliseconds()))
		if n > 0 {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	return ctx.Err()
}

// signal sends a signal to the process, never to another one with its id.
func (p process) signal(s syscall.Signal) error {
	if !p.lives() {
		return nil
	}
	return syscall.Kill(p.PID, s)
}
