package demo

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The folder run holds a file for each process: its number and when it started, in clock ticks
// since boot. Together they name a process for ever; the number alone may be another's by now.

func writeDown(dir, name string, pid int) error {
	started, err := startTime(pid)
	if err != nil {
		return nil // it has ended already, which the one who waits for it will see
	}
	return os.WriteFile(entry(dir, name), fmt.Appendf(nil, "%d %s\n", pid, started), 0o600)
}

func crossOut(dir, name string) { _ = os.Remove(entry(dir, name)) }

func entry(dir, name string) string { return filepath.Join(dir, "run", name+".pid") }

// startTime reads field 22 of /proc/PID/stat; see proc(5). The second field, in parentheses, may hold
// anything. A process that has ended and only waits to be noticed is an error, like one that is gone.
func startTime(pid int) (string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const started = 22 - 3 // the first field here is the third, the state
	if len(fields) <= started || fields[0] == "Z" && alone(pid) {
		return "", fmt.Errorf("process %d has ended", pid)
	}
	return fields[started], nil
}

// alone tells whether a process has no thread but its first. That one may be a zombie while others
// still end, and hold the process's ports until then.
func alone(pid int) bool {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	return err != nil || len(threads) < 2
}

// endLeftovers kills the process groups that an earlier demo in dir left behind.
func endLeftovers(dir string) error {
	entries, err := filepath.Glob(entry(dir, "*"))
	if err != nil {
		return err
	}
	for _, file := range entries {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		number, started, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
		if pid, err := strconv.Atoi(number); err == nil {
			endIf(pid, started)
		}
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	return nil
}

// endIf kills the group of a process if it is still the one that started then, and waits until it is gone.
func endIf(pid int, started string) {
	same := func() bool { now, err := startTime(pid); return err == nil && now == started }
	if !same() {
		return
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	for deadline := time.Now().Add(grace); same() && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
}
