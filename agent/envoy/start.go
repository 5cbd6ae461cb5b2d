package envoy

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Spec is how Envoy is run.
type Spec struct {
	// Path of the program.
	Path string
	// Dir holds what Envoy reads, and the folder that Envoy writes to. Its path must be short: it
	// holds sockets.
	Dir string
	// User is Envoy's uid and gid, used only by root.
	User int
	// LowPorts lets Envoy listen below 1024 though it is not root.
	LowPorts bool
	// Concurrency is the number of worker threads; 0 means as many as processors, two at most.
	Concurrency int
	// NodeID is what the edge calls this Envoy.
	NodeID string
	// Hold are files that Envoy keeps open and does not touch, for the next agent to take over with
	// [Spec.Held].
	Hold []*os.File
}

// The files. Root writes nothing into the folder that is Envoy's: a conquered Envoy could have put
// links there.
func (s Spec) file(name string) string { return filepath.Join(s.Dir, name) }
func (s Spec) bootstrapFile() string   { return s.file("bootstrap.json") }
func (s Spec) processFile() string     { return s.file("process.json") }
func (s Spec) own() string             { return s.file("own") }
func (s Spec) adminSocket() string     { return filepath.Join(s.own(), "admin.sock") }

// Socket is the Unix socket that the agent has to serve.
func (s Spec) Socket() string { return s.file("agent.sock") }

// LogFile is where Envoy writes.
func (s Spec) LogFile() string { return filepath.Join(s.own(), "envoy.log") }

// Prepare makes the folders, before anything else is used. It refuses places that Envoy cannot reach.
func (s Spec) Prepare() error {
	if n := len(s.adminSocket()); n > maxSocket {
		return fmt.Errorf("envoy: %s is %d bytes long, sockets may have %d: choose a shorter data directory", s.adminSocket(), n, maxSocket)
	}
	if err := os.MkdirAll(s.Dir, 0o711); err != nil {
		return err
	}
	if err := os.MkdirAll(s.own(), 0o700); err != nil || os.Getuid() != 0 {
		return err
	}
	if err := os.Chmod(s.Dir, 0o711); err != nil { // whatever the umask
		return err
	}
	if blocker := blocks(s.Dir); blocker != "" {
		return fmt.Errorf("envoy: user %d cannot enter %s: choose another data directory, or chmod o+x %s", s.User, blocker, blocker)
	}
	return s.give(s.own())
}

// maxSocket is the length of a Unix socket's path, unix(7).
const maxSocket = 107

// give makes a file Envoy's.
func (s Spec) give(path string) error {
	if os.Getuid() != 0 {
		return nil
	}
	return os.Lchown(path, s.User, s.User)
}

// Listen makes [Spec.Socket], for Envoy and nobody else.
func (s Spec) Listen() (net.Listener, error) {
	if err := os.Remove(s.Socket()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", s.Socket())
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // Envoy keeps trying the path until the next agent serves it
	if err := errors.Join(os.Chmod(s.Socket(), 0o600), s.give(s.Socket())); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (s Spec) bootstrap() Bootstrap {
	return Bootstrap{NodeID: s.NodeID, Socket: s.Socket(), Admin: s.adminSocket(), MaxConnections: maxConnections}
}

// maxConnections bounds what clients can make Envoy hold.
const maxConnections = 50_000

func (s Spec) args() []string {
	workers := s.Concurrency
	if workers == 0 {
		workers = min(2, runtime.NumCPU())
	}
	return []string{
		"-c", s.bootstrapFile(), "--concurrency", strconv.Itoa(workers), "--disable-hot-restart",
		// A tightened policy reaches open connections when the old filter chain is drained.
		"--drain-time-s", "5", "--drain-strategy", "immediate",
		"--log-level", "warning", "--log-path", s.LogFile(), "--skip-deprecated-logs",
	}
}

// start writes the bootstrap and starts Envoy. died is closed when it ends.
func (s Spec) start() (p process, died <-chan struct{}, err error) {
	program, err := s.program()
	if err != nil {
		return p, nil, err
	}
	if err := s.writeBootstrap(); err != nil {
		return p, nil, err
	}
	output, err := os.OpenFile(s.file("stdout.log"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return p, nil, err
	}
	defer output.Close()
	cmd := exec.Command(program, s.args()...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = s.own(), output, output, []string{}
	cmd.SysProcAttr, cmd.ExtraFiles = s.attributes(), s.Hold
	err = startUnprivileged(cmd)
	for _, file := range s.Hold { // exec made them blocking, which our own copies share
		_ = syscall.SetNonblock(int(file.Fd()), true)
	}
	if err != nil {
		return p, nil, fmt.Errorf("envoy: %w", err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }() // ends with Envoy, or with the agent
	if p, err = identify(cmd.Process.Pid, s.NodeID); err != nil {
		<-ended
		return p, nil, fmt.Errorf("envoy ended at once: %w", err)
	}
	p.Held = len(s.Hold)
	return p, ended, p.write(s.processFile())
}

func (s Spec) writeBootstrap() error {
	_ = os.Remove(s.adminSocket()) // of an Envoy that is gone
	if err := os.WriteFile(s.bootstrapFile(), s.bootstrap().Render(), 0o600); err != nil {
		return err
	}
	return s.give(s.bootstrapFile())
}

func (s Spec) attributes() *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setsid: true}
	if os.Getuid() == 0 {
		attributes.Credential = &syscall.Credential{Uid: uint32(s.User), Gid: uint32(s.User)}
		if s.LowPorts {
			attributes.AmbientCaps = []uintptr{unix.CAP_NET_BIND_SERVICE}
		}
	}
	return attributes
}

// startUnprivileged starts a command that can never gain privileges (no_new_privs, prctl(2)). The bit is
// the thread's and is inherited: it is set on a thread that starts the command and then ends.
func startUnprivileged(cmd *exec.Cmd) error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked, so the thread dies with the goroutine
		if unix.Gettid() == unix.Getpid() {
			// The main thread never dies, and speaks for the process in /proc. It is held until another did it.
			defer runtime.UnlockOSThread()
			started <- startUnprivileged(cmd)
			return
		}
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			started <- err
			return
		}
		started <- cmd.Start()
	}()
	return <-started
}
