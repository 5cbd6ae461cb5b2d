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
	a := m.TryGateway(token, flags...)
	a.WaitReady()
	return a
}

// TryGateway is Gateway without waiting.
func (m *Machine) TryGateway(token string, flags ...string) *Agent {
	m.w.t.Helper()
	return m.join("gateway", token, flags)
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
	stats, err := a.envoyStats("^" + name + "$")
	if err == nil && len(stats) != 1 {
		err = fmt.Errorf("Envoy knows no number %s", name)
	}
	return sum(stats), err
}

// EnvoySum is the sum of all the numbers that the machine's Envoy keeps under names in which a regular expression
// is found; 0 if there are none.
func (a *Agent) EnvoySum(pattern string) (int, error) {
	stats, err := a.envoyStats(pattern)
	return sum(stats), err
}

func sum(numbers []int) (all int) {
	for _, number := range numbers {
		all += number
	}
	return all
}

// envoyStats asks Envoy, which answers "NAME: NUMBER" lines.
func (a *Agent) envoyStats(pattern string) (numbers []int, err error) {
	admin, err := a.envoyAdmin()
	if err != nil {
		return nil, err
	}
	out, err := a.Machine.Run(a.t.Context(), "", "curl", "--silent", "--show-error", "--fail", "--max-time", "10",
		"--unix-socket", admin, "--get", "--data-urlencode", "filter="+pattern, "http://envoy/stats")
	for line := range strings.Lines(out) {
		_, text, _ := strings.Cut(strings.TrimSpace(line), ": ")
		number, wrong := strconv.Atoi(text)
		if wrong != nil {
			return nil, fmt.Errorf("%q is no number", line)
		}
		numbers = append(numbers, number)
	}
	return numbers, err
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
