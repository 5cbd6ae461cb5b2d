package meshtest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/isthmus-mesh/isthmus/examples"
)

// Shop is the sample application on machines of its own, and the ingress gateway "public" before it.
type Shop struct {
	// Machines by name: web1, details1, ratings1, rates1, ledger1, rv1, rv2 and rv3 (reviews v1 to v3), public.
	Machines map[string]*Machine
	// Apps are the services, Agents what joined them and the gateway, by the names of the machines.
	Apps   map[string]*Process
	Agents map[string]*Agent
	// Browser is a machine outside of the mesh.
	Browser *Machine

	w *World
}

// instance is a machine with a service of the shop.
type instance struct {
	machine, service, port, version string
	flags                           []string
}

// check is how the agent asks the service whether it is healthy.
func (i instance) check() string {
	switch i.service {
	case "rates":
		return "grpc"
	case "ledger":
		return "tcp"
	}
	return "http://127.0.0.1:9080/health"
}

var instances = []instance{
	{"details1", "details", "9080=http", "v1", nil},
	{"ratings1", "ratings", "9080=http", "v1", nil},
	{"rv1", "reviews", "9080=http", "v1", nil},
	{"rv2", "reviews", "9080=http", "v2", []string{"--ratings=http://ratings:9080"}},
	{"rv3", "reviews", "9080=http", "v3", []string{"--ratings=http://ratings:9080"}},
	{"rates1", "rates", "9090=grpc", "v1", nil},
	{"ledger1", "ledger", "9100=tcp", "v1", nil},
	{"web1", "web", "9080=http", "v1", []string{"--details=http://details:9080", "--reviews=http://reviews:9080", "--rates=rates:9090", "--ledger=ledger:9100"}},
}

// Shop runs the sample application in a zone with the objects of examples/shop.yaml, and returns when a
// browser is answered.
func (z *Zone) Shop() *Shop {
	z.w.t.Helper()
	s := &Shop{Machines: map[string]*Machine{}, Apps: map[string]*Process{}, Agents: map[string]*Agent{}, Browser: z.w.Machine("browser"), w: z.w}
	z.w.Apply(s.Example("shop"))
	for _, i := range instances {
		m := z.w.Machine(i.machine)
		s.Machines[i.machine] = m
		s.Apps[i.machine] = m.Serve(i.service, append([]string{"--version=" + i.version}, i.flags...)...)
		s.Agents[i.machine] = m.TryJoin(z.Token("shop", i.service), "--port="+i.port, "--version="+i.version, "--check="+i.check())
	}
	s.Machines["public"] = z.w.Machine("public")
	s.Agents["public"] = s.Machines["public"].TryGateway(z.GatewayToken("shop", "public"))
	for _, agent := range s.Agents {
		agent.WaitReady()
	}
	Eventually(z.w.t, "the shop answers a browser", func() error {
		if tally := s.Load().Send(z.w.t.Context(), 1); tally.Status(http.StatusOK) != 1 {
			return fmt.Errorf("%s", tally)
		}
		return nil
	})
	return s
}

// Load is requests of the browser to the gateway, 50 a second.
func (s *Shop) Load() Load {
	return Load{URL: s.URL("/"), Rate: 50, Dial: s.Browser.DialContext}
}

// URL is what the browser asks the gateway for.
func (s *Shop) URL(path string) string {
	return "http://" + s.Machines["public"].at(gatewayPort) + path
}

// gatewayPort is the port of the Gateway in examples/shop.yaml.
const gatewayPort = 8080

// Example is the text of a file of examples, by its name without the ending.
func (s *Shop) Example(name string) string {
	s.w.t.Helper()
	text, err := examples.Files.ReadFile(name + ".yaml")
	if err != nil {
		s.w.t.Fatal(err)
	}
	return string(text)
}

// Turn sets the knobs of an HTTP service, for instance "fail=0.2"; an empty query puts them back.
func (s *Shop) Turn(machine, query string) {
	s.w.t.Helper()
	s.Machines[machine].Turn(query)
}

// Requests is how many requests an HTTP service has received itself.
func (s *Shop) Requests(machine string) int {
	s.w.t.Helper()
	text, err := s.Machines[machine].askApp("GET", "/requests")
	count, wrong := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || wrong != nil {
		s.w.t.Fatalf("requests of %s: %v, %v", machine, err, wrong)
	}
	return count
}
