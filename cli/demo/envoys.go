package demo

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// An agent's end does not end its Envoy: that is how agents are upgraded. So the demo ends the Envoys
// itself, those that run with a bootstrap in its folder.

// endEnvoys ends the Envoys of the demo in dir and waits until they are gone.
func endEnvoys(dir string) error {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		for deadline := time.Now().Add(grace / 3); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			running, err := envoys(dir)
			if err != nil || len(running) == 0 {
				return err
			}
			for _, pid := range running {
				if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
					return fmt.Errorf("end Envoy %d: %w", pid, err)
				}
			}
		}
	}
	return fmt.Errorf("some Envoys of %s do not end", dir)
}

// envoys are the process numbers of the Envoys of the demo in dir.
func envoys(dir string) ([]int, error) {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var found []int
	for _, file := range lines {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended, or is not ours
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil && isEnvoy(text, dir) {
			found = append(found, pid)
		}
	}
	return found, nil
}

// isEnvoy tells whether a command line, as the kernel keeps it, is that of an Envoy of the demo in dir.
func isEnvoy(line []byte, dir string) bool {
	args := bytes.Split(line, []byte{0})
	for i := 1; i < len(args); i++ {
		if string(args[i-1]) == "-c" && strings.HasPrefix(string(args[i]), filepath.Join(dir, "agents")+"/") {
			return true
		}
	}
	return false
}
