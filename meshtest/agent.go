package meshtest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Agent is the agent of a machine, and the Envoy it keeps.
type Agent struct {
	*Process
	Machine *Machine
}

// Join joins the machine and waits until its proxy is ready. Flags are those of "isthmus-agent join", for
// instance "--port=9080=http". When the process ends and is started again, it goes on as what it joined as.
func (m *Machine) Join(token string, flags ...string) *Agent {
	m.w.t.Helper()
	a := m.TryJoin(token, flags...)
	a.WaitReady()
	return a
}

// TryJoin is Join without waiting, for tokens that should be refused.
func (m *Machine) TryJoin(token string, flags ...string) *Agent {
	m.w.t.Helper()
	return m.join("join", token, flags)
}

// Gateway joins the machine as an ingress gateway and waits until its proxy is ready.
func (m *Machine) Gateway(token string, flags ...string) *Agent {
	m.w.t.Helper()
	a := m.join("gateway", token, flags)
	a.WaitReady()
	return a
}

func (m *Machine) join(verb, token string, flags []string) *Agent {
	m.w.t.Helper()
	a := &Agent{Machine: m}
	joined := false
	a.Process = m.Start("isthmus-agent", func() []string {
		if joined {
			return []string{m.w.Binaries.Agent, "run", "--data=" + m.Dir("agent")}
		}
		joined = true
		return append([]string{m.w.Binaries.Agent, verb, token, "--data=" + m.Dir("agent")}, flags...)
	})
	return a
}

// Status runs "isthmus-agent status" on the machine.
func (a *Agent) Status() (string, error) {
	return a.Machine.Run(a.t.Context(), "", a.Machine.w.Binaries.Agent, "status", "--data="+a.Machine.Dir("agent"))
}

// Leave runs "isthmus-agent leave", which returns when callers know and what was begun is finished.
func (a *Agent) Leave() error {
	ctx := context.WithoutCancel(a.t.Context()) // clean-ups come here too
	_, err := a.Machine.Run(ctx, "", a.Machine.w.Binaries.Agent, "leave", "--data="+a.Machine.Dir("agent"))
	return err
}

// WaitReady waits until the agent says that all is well.
func (a *Agent) WaitReady() {
	a.t.Helper()
	Eventually(a.t, "the agent of "+a.Machine.Name+" is ready", func() error {
		a.MustRun()
		_, err := a.Status()
		return err
	})
}

// EnvoyPID is the process of the machine's Envoy, or an error if there is none, or more than one.
func (a *Agent) EnvoyPID() (string, error) {
	out, err := a.Machine.Run(a.t.Context(), "", "sh", "-c", `for pid in $(ip netns pids "$(ip netns identify)"); do
		[ "$(cat /proc/$pid/comm)" = envoy ] && echo $pid; done; true`)
	pids := strings.Fields(out)
	if err == nil && len(pids) != 1 {
		err = fmt.Errorf("on %s run %d Envoys", a.Machine.Name, len(pids))
	}
	return strings.Join(pids, " "), err
}

// EnvoyStat is one of the numbers that the machine's Envoy keeps, for instance "cluster_manager.warming_clusters".
func (a *Agent) EnvoyStat(name string) (int, error) {
	out, err := a.askEnvoy("/stats?filter=^" + name + "$")
	if err != nil {
		return 0, err
	}
	number, found := strings.CutPrefix(strings.TrimSpace(out), name+": ")
	if !found {
		return 0, fmt.Errorf("Envoy knows no number %s: %s", name, out)
	}
	return strconv.Atoi(number)
}

// EnvoySerial is the serial number of the newest certificate that the machine's Envoy proves itself with.
func (a *Agent) EnvoySerial() (string, error) {
	out, err := a.askEnvoy("/certs")
	if err != nil {
		return "", err
	}
	type certificate struct {
		Serial string    `json:"serial_number"`
		Ends   time.Time `json:"expiration_time"`
	}
	var all struct {
		Certificates []struct {
			Chain []certificate `json:"cert_chain"`
		}
	}
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		return "", err
	}
	var newest certificate
	for _, c := range all.Certificates {
		if len(c.Chain) > 0 && c.Chain[0].Ends.After(newest.Ends) {
			newest = c.Chain[0]
		}
	}
	if newest.Serial == "" {
		return "", fmt.Errorf("Envoy has no certificate: %s", out)
	}
	return newest.Serial, nil
}

// askEnvoy gets a path of the administration of the machine's Envoy.
func (a *Agent) askEnvoy(path string) (string, error) {
	admin, err := a.envoyAdmin()
	if err != nil {
		return "", err
	}
	return a.Machine.Run(a.t.Context(), "", "curl", "--silent", "--show-error", "--fail", "--max-time", "10",
		"--unix-socket", admin, "http://envoy"+path)
}

// envoyAdmin is the socket of Envoy's administration, as its bootstrap tells.
func (a *Agent) envoyAdmin() (string, error) {
	pid, err := a.EnvoyPID()
	if err != nil {
		return "", err
	}
	line, err := os.ReadFile(filepath.Join("/proc", pid, "cmdline"))
	if err != nil {
		return "", err
	}
	args := strings.Split(string(line), "\x00")
	text, err := os.ReadFile(args[slices.Index(args, "-c")+1])
	if err != nil {
		return "", err
	}
	var bootstrap struct {
		Admin struct {
			Address struct{ Pipe struct{ Path string } }
		}
	}
	err = json.Unmarshal(text, &bootstrap)
	return bootstrap.Admin.Address.Pipe.Path, err
}
