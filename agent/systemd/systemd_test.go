package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestInstall(t *testing.T) {
	folder := t.TempDir()
	names, err := Install(folder, "/usr/bin/isthmus-agent", "/var/lib/isthmus-agent")
	if err != nil || !slices.Equal(names, []string{"isthmus-agent-drain.service", "isthmus-agent.service", "isthmus-agent.socket"}) {
		t.Fatal(names, err)
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil || strings.Contains(string(text), "@") {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
	service, err := os.ReadFile(filepath.Join(folder, "isthmus-agent.service"))
	if err != nil || !strings.Contains(string(service), "ExecStart=/usr/bin/isthmus-agent run --data=/var/lib/isthmus-agent\n") {
		t.Errorf("%v\n%s", err, service)
	}
	if !strings.Contains(string(service), "\nKillMode=process\n") {
		t.Error("stopping the agent would stop Envoy")
	}
	if _, err := Install(filepath.Join(folder, "nowhere"), "p", "d"); err == nil {
		t.Error("written into a folder that is not there")
	}
}

// asService makes the test binary a service that counts its sockets.
const asService = "ISTHMUS_TEST_SERVICE"

func TestMain(m *testing.M) {
	if name := os.Getenv(asService); name != "" {
		os.Setenv("LISTEN_PID", strings.Replace(os.Getenv("LISTEN_PID"), "self", pid(), 1))
		for _, file := range Sockets(name) {
			info, err := file.Stat()
			if err != nil {
				os.Exit(1)
			}
			os.Stdout.WriteString(info.Mode().Type().String() + " ")
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func pid() string {
	target, _ := os.Readlink("/proc/self")
	return target
}

func TestSockets(t *testing.T) {
	for _, c := range []struct{ name, env, want string }{
		{"dns", "LISTEN_PID=self LISTEN_FDS=2 LISTEN_FDNAMES=other:dns", "p--------- "},
		{"other", "LISTEN_PID=self LISTEN_FDS=2 LISTEN_FDNAMES=other:dns", "---------- "},
		{"dns", "LISTEN_PID=1 LISTEN_FDS=2 LISTEN_FDNAMES=other:dns", ""},
		{"dns", "LISTEN_PID=self LISTEN_FDS=x LISTEN_FDNAMES=other:dns", ""},
		{"dns", "", ""},
	} {
		file, err := os.Open(os.Args[0])
		if err != nil {
			t.Fatal(err)
		}
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(strings.Fields(c.env), asService+"="+c.name)
		cmd.ExtraFiles = []*os.File{file, read}
		if out, err := cmd.Output(); err != nil || string(out) != c.want {
			t.Errorf("%s with %q: %q, %v, want %q", c.name, c.env, out, err, c.want)
		}
		for _, f := range []*os.File{file, read, write} {
			f.Close()
		}
	}
}
