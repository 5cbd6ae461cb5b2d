package meshtest

import (
	"fmt"
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
	_, err := a.Machine.Run(a.t.Context(), "", a.Machine.w.Binaries.Agent, "leave", "--data="+a.Machine.Dir("agent"))
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
		err = fmt.Errorf("%d Envoys run on %s", len(pids), a.Machine.Name)
	}
	return strings.Join(pids, " "), err
}
