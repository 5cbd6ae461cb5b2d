package netns

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// namespace is a named network namespace, as ip-netns(8) keeps them.
type namespace struct{ name string }

// do calls f in the namespace: sockets f opens stay in it. f must not start goroutines that open
// sockets, nor processes.
func (n namespace) do(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer home.Close()
	there, err := os.Open(filepath.Join("/run/netns", n.name))
	if err != nil {
		return err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("entering %s: %w", n.name, err)
	}
	defer func() {
		if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
			panic("a thread cannot leave a network namespace: " + err.Error()) // it would serve other goroutines
		}
	}()
	return f()
}

// etc is the folder whose files ip-netns(8) shows as those of /etc.
func (n namespace) etc() string { return filepath.Join("/etc/netns", n.name) }

// killAll kills every process in the namespace, until there is none: a killed one may have forked.
func (n namespace) killAll() {
	for {
		out, err := exec.Command("ip", "netns", "pids", n.name).Output()
		pids := strings.Fields(string(out))
		if err != nil || len(pids) == 0 {
			return
		}
		for _, text := range pids {
			if pid, err := strconv.Atoi(text); err == nil {
				syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
}

func (n namespace) remove() {
	exec.Command("ip", "netns", "delete", n.name).Run() // it may be gone
	os.RemoveAll(n.etc())
}
