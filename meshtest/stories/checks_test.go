package stories_test

import (
	"fmt"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// checks has services of gRPC and of TCP fall ill beside a healthy one: a caller goes to that one alone, and status
// says who is ill, until its check passes again.
func checks(w world) {
	for _, c := range []struct {
		service, port, check string
		ill, well            func(*meshtest.Process)
	}{
		{"rates", "9090=grpc", "grpc", (*meshtest.Process).Pause, (*meshtest.Process).Resume}, // it connects, and does not answer
		{"ledger", "9100=tcp", "tcp", (*meshtest.Process).Kill, (*meshtest.Process).Start},
	} {
		machine := w.mesh.Machine("ill-" + c.service)
		app := machine.Serve(c.service, "--version=v2")
		agent := machine.Join(w.zone.Token("shop", c.service), "--port="+c.port, "--version=v2", "--check="+c.check)
		w.shares(c.service, machine.Name, true)
		c.ill(app)
		w.mesh.Says("on "+machine.Name+": not healthy: ", "It gets no requests until its health check passes")
		w.shares(c.service, machine.Name, false)
		w.ask(20).MustLoseNothing(w)
		c.well(app)
		w.shares(c.service, machine.Name, true)
		if err := agent.Leave(); err != nil {
			w.Error(err)
		}
	}
}

// shares waits until a machine has a share in the answers of its service, or none. None of them may fail then.
func (w world) shares(service, host string, some bool) {
	w.Helper()
	meshtest.Eventually(w, fmt.Sprintf("%s answers for %s: %v", host, service, some), func() error {
		if tally := w.ask(10); tally.Failed() > 0 || (tally.ByHost(service, host) > 0) != some {
			return fmt.Errorf("%s", tally)
		}
		return nil
	})
}
