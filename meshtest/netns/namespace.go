package netns

import (
	"fmt"
	"maps"
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
	killed := map[int]bool{}
	for {
		out, err := exec.Command("ip", "netns", "pids", n.name).Output()
		pids := strings.Fields(string(out))
		maps.DeleteFunc(killed, func(pid int, _ bool) bool { return ended(pid) })
		if err != nil || len(pids)+len(killed) == 0 {
			return
		}
		for _, text := range pids {
			if pid, err := strconv.Atoi(text); err == nil && syscall.Kill(pid, syscall.SIGKILL) == nil {
				killed[pid] = true
			}
		}
	}
}

// ended tells whether nothing of a process runs any more. Its sockets are open until its last thread has ended, and
// the first one, by which it is known to be in a namespace, may end before that.
func ended(pid int) bool {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil || len(threads) > 1 {
		return err != nil
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ") // the name may hold spaces
	return err != nil || strings.HasPrefix(state, "Z") || strings.HasPrefix(state, "X")
}

func (n namespace) remove() {
	exec.Command("ip", "netns", "delete", n.name).Run() // it may be gone
	os.RemoveAll(n.etc())
}
