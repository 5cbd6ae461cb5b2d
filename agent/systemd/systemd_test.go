package systemd

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestInstall(t *testing.T) {
	folder := t.TempDir()
	names, err := Install(folder, "/usr/bin/isthmus-agent", "/var/lib/isthmus-agent")
	if err != nil || !slices.Equal(names, []string{"isthmus-agent-drain.service", "isthmus-agent.service"}) {
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
