package envoy

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// firstHeld is the first descriptor of [Spec.Hold] in Envoy.
const firstHeld = 3

// CanHold tells whether files that Envoy holds can be taken over: that needs CAP_SYS_PTRACE, as the
// kernel's pidfd_getfd(2) asks.
func CanHold() bool {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(status), "\nCapEff:\t")
	line, _, _ := strings.Cut(rest, "\n")
	capabilities, err := strconv.ParseUint(line, 16, 64)
	return err == nil && capabilities&(1<<unix.CAP_SYS_PTRACE) != 0
}

// Held returns the files that the running Envoy of an earlier agent holds, in the order in which they
// were given to it. There are none if no Envoy runs.
func (s Spec) Held() ([]*os.File, error) {
	p, ok := readProcess(s.processFile())
	if !ok || p.Held == 0 {
		return nil, nil
	}
	pidfd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(pidfd)
	var files []*os.File
	for i := range p.Held {
		fd, err := unix.PidfdGetfd(pidfd, firstHeld+i, 0)
		if err != nil {
			return nil, err
		}
		files = append(files, os.NewFile(uintptr(fd), "held by Envoy"))
	}
	return files, nil
}

// Running tells whether an Envoy that an earlier agent started runs.
func (s Spec) Running() bool {
	_, ok := readProcess(s.processFile())
	return ok
}
