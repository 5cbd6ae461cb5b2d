package meshtest

import (
	"context"
	"net/netip"
	"path/filepath"
	"strings"
	"time"
)

// Hub is the hub, on a machine of its own.
type Hub struct {
	*Process
	Machine *Machine
	// Kubeconfig is the administrator's.
	Kubeconfig string
}

// Ports of the hub.
const (
	apiPort  = 7443
	feedPort = 7444
)

// Hub returns the hub, which the first call starts and waits for.
func (w *World) Hub() *Hub {
	w.t.Helper()
	if w.hub != nil {
		return w.hub
	}
	m := w.Machine("hub")
	h := &Hub{Machine: m, Kubeconfig: filepath.Join(m.Dir("hub"), "admin.kubeconfig")}
	w.hub, w.desk = h, w.Machine("desk")
	h.Process = m.Start("isthmus-hub", func() []string {
		return []string{w.Binaries.Isthmus, "hub", "--data=" + m.Dir("hub"), "--listen=" + m.at(apiPort),
			"--feed-listen=" + m.at(feedPort), "--advertise=" + m.IPv4.String()}
	})
	h.WaitReady()
	return h
}

func (m *Machine) at(port uint16) string { return netip.AddrPortFrom(m.IPv4, port).String() }

// WaitReady waits until the hub answers and is warm.
func (h *Hub) WaitReady() {
	h.t.Helper()
	Eventually(h.t, "the hub is ready", func() error {
		h.MustRun()
		_, err := h.Machine.w.TryKubectl("get", "--raw=/readyz")
		return err
	})
}

// Desk is a machine from which the mesh is administered.
func (w *World) Desk() *Machine {
	w.Hub()
	return w.desk
}

// TryKubectl runs upstream's kubectl on the desk.
func (w *World) TryKubectl(args ...string) (string, error) { return w.onDesk("", "kubectl", args) }

// TryIsthmus runs isthmus on the desk.
func (w *World) TryIsthmus(args ...string) (string, error) { return w.onDesk("", "isthmus", args) }

// TryApply applies YAML with kubectl.
func (w *World) TryApply(yaml string) (string, error) {
	return w.onDesk(yaml, "kubectl", []string{"apply", "--filename=-"})
}

func (w *World) onDesk(stdin, program string, args []string) (string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.t.Context()), Patience) // clean-ups come here too
	defer cancel()
	return w.Desk().Run(ctx, stdin, append([]string{program}, args...)...)
}

// Kubectl is TryKubectl that must succeed.
func (w *World) Kubectl(args ...string) string { w.t.Helper(); return w.must(w.TryKubectl(args...)) }

// Isthmus is TryIsthmus that must succeed.
func (w *World) Isthmus(args ...string) string { w.t.Helper(); return w.must(w.TryIsthmus(args...)) }

// Apply is TryApply that must succeed.
func (w *World) Apply(yaml string) string { w.t.Helper(); return w.must(w.TryApply(yaml)) }

func (w *World) must(out string, err error) string {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// MustRefuse applies YAML that must be refused, with words that must be in the answer.
func (w *World) MustRefuse(yaml string, words ...string) {
	w.t.Helper()
	out, err := w.TryApply(yaml)
	if err == nil {
		w.t.Errorf("accepted, want a refusal: %s", out)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			w.t.Errorf("the refusal lacks %q: %v", word, err)
		}
	}
}

// Programmed waits until every proxy concerned runs what an object says, for instance
// "httproute/reviews" in a workspace.
func (w *World) Programmed(workspace, object string) {
	w.t.Helper()
	w.ProgrammedWithin(Patience/2, workspace, object)
}

// ProgrammedWithin is [World.Programmed] for what takes its time, less than [Patience].
func (w *World) ProgrammedWithin(patience time.Duration, workspace, object string) {
	w.t.Helper()
	if _, err := w.TryKubectl("wait", "--for=condition=Programmed", "--timeout="+patience.String(), "--namespace="+workspace, object); err != nil {
		status, _ := w.TryKubectl("get", "--namespace="+workspace, object, "--output=jsonpath={.status}")
		w.t.Fatalf("%v\nits status: %s", err, status)
	}
}

// Degraded waits until a proxy refuses what an object says, and the object tells it in Envoy's words.
func (w *World) Degraded(workspace, object string, words ...string) {
	w.t.Helper()
	w.Kubectl("wait", "--for=condition=Degraded", "--timeout=30s", "--namespace="+workspace, object)
	text := w.Kubectl("get", object, "--namespace="+workspace, "--output=yaml")
	for _, one := range words {
		if !strings.Contains(text, one) {
			w.t.Errorf("Envoy's words %q are not on %s:\n%s", one, object, text)
		}
	}
}

// TooLarge is a regular expression that passes every schema and Istio's own rules, and that Envoy refuses: the program that
// RE2 makes of it is too large.
var TooLarge = strings.Repeat(`(\pL{100}){10}`, 8)

// Workspace makes a workspace.
func (w *World) Workspace(name string) {
	w.t.Helper()
	w.Apply("apiVersion: isthmus.dev/v1alpha1\nkind: Workspace\nmetadata: {name: " + name + "}\n")
}
