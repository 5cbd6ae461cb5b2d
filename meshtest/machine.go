package meshtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/isthmus-mesh/isthmus/meshtest/netns"
)

// Machine is a host with a disk and programs on it.
type Machine struct {
	*netns.Host

	w   *World
	dir string
}

// appUser runs applications: neither root nor Envoy, whose traffic is not captured.
const appUser = 2000

// Dir is a folder that outlives what runs on the machine, as a disk does.
func (m *Machine) Dir(name string) string { return filepath.Join(m.dir, name) }

// WriteFile writes a file on the machine's disk and returns its path.
func (m *Machine) WriteFile(name, text string) string {
	m.w.t.Helper()
	if err := os.WriteFile(m.Dir(name), []byte(text), 0o644); err != nil {
		m.w.t.Fatal(err)
	}
	return m.Dir(name)
}

// Start starts a program as root; argv is asked anew for each of its lives.
func (m *Machine) Start(name string, argv func() []string) *Process {
	m.w.t.Helper()
	return m.start(name, func() *exec.Cmd {
		args := argv()
		return m.equip(m.Command(context.Background(), args[0], args[1:]...))
	})
}

func (m *Machine) start(name string, command func() *exec.Cmd) *Process {
	m.w.t.Helper()
	p := NewProcess(m.w.t, m.dir, name, command)
	p.Start()
	return p
}

// equip tells a program where the machine finds our programs, Envoy and the hub.
func (m *Machine) equip(cmd *exec.Cmd) *exec.Cmd {
	b := m.w.Binaries
	path := strings.Join([]string{filepath.Dir(b.Isthmus), filepath.Dir(b.Kubectl), "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}, ":")
	cmd.Env = []string{"PATH=" + path, "HOME=" + m.dir, "ISTHMUS_ENVOY=" + b.Envoy}
	if hub := m.w.hub; hub != nil {
		cmd.Env = append(cmd.Env, "KUBECONFIG="+hub.Kubeconfig)
	}
	cmd.Dir = m.dir
	return cmd
}

// Run runs a command to its end, as root, and returns what it printed on its standard output. The error
// of one that failed holds everything it printed.
func (m *Machine) Run(ctx context.Context, stdin string, argv ...string) (string, error) {
	cmd := m.Command(ctx, argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	return m.finish(cmd, argv)
}

// RunAsApp is Run as the user of applications, whose connections are captured.
func (m *Machine) RunAsApp(ctx context.Context, argv ...string) (string, error) {
	return m.finish(m.CommandAs(ctx, appUser, argv[0], argv[1:]...), argv)
}

func (m *Machine) finish(cmd *exec.Cmd, argv []string) (string, error) {
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := m.equip(cmd).Run(); err != nil {
		return stdout.String(), fmt.Errorf("%.200s on %s: %w\n%s%s", strings.Join(argv, " "), m.Name, err, stderr.String(), stdout.String())
	}
	return stdout.String(), nil
}

// Serve starts a service of the sample shop, on port 9080 unless a flag says otherwise, and waits until it
// listens. Its answers name the machine as host.
func (m *Machine) Serve(service string, flags ...string) *Process {
	m.w.t.Helper()
	args := append([]string{service, "--listen=:" + servicePort(service), "--host=" + m.Name}, flags...)
	p := m.start(service, func() *exec.Cmd {
		return m.equip(m.CommandAs(context.Background(), appUser, m.w.Binaries.Shop, args...))
	})
	Eventually(m.w.t, service+" listens on "+m.Name, func() error {
		p.MustRun()
		conn, err := m.dialLocal(servicePort(service))
		if err == nil {
			conn.Close()
		}
		return err
	})
	return p
}

// servicePort is the port a service of the shop has on its machine.
func servicePort(service string) string {
	if port, special := map[string]string{"rates": "9090", "ledger": "9100"}[service]; special {
		return port
	}
	return "9080"
}

func (m *Machine) dialLocal(port string) (net.Conn, error) {
	return m.DialContext(m.w.t.Context(), "tcp", "127.0.0.1:"+port)
}

// Get asks for a URL once, from the machine and as one of its applications, and returns what curl prints.
func (m *Machine) Get(url string, flags ...string) (string, error) {
	argv := append([]string{"curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "10"}, flags...)
	return m.RunAsApp(m.w.t.Context(), append(argv, url)...)
}

// Turn sets the knobs of the machine's HTTP service of the shop, for instance "fail=0.2"; an empty query puts them back.
func (m *Machine) Turn(query string) {
	m.w.t.Helper()
	if _, err := m.askApp("POST", "/knobs?"+query); err != nil {
		m.w.t.Fatal(err)
	}
}

// askApp goes to the application past its proxy, as root on its machine may.
func (m *Machine) askApp(method, path string) (string, error) {
	return m.Run(m.w.t.Context(), "", "curl", "--silent", "--show-error", "--fail", "--max-time", "10",
		"--request", method, "http://127.0.0.1:9080"+path)
}
