package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/isthmus-mesh/isthmus/agent/edgetest"
	"github.com/isthmus-mesh/isthmus/machine/xds"
	"github.com/isthmus-mesh/isthmus/meshtest/netns"
)

// appUser runs applications on machines of their own.
const appUser = 2000

// redirected is a machine of its own, with an application on port 9080 and redirected traffic, an edge and
// a caller.
func redirected(t *testing.T) (m *machine, vm, caller *netns.Host) {
	lan := netns.New(t)
	vm, caller = lan.Host("vm"), lan.Host("caller")
	edgeHost := lan.Host("edge")
	zone := edgetest.New(t)
	zone.StartAt("e1", edgeHost.IPv4.String()+":15012", edgeHost.Listen)
	publishRedirected(t, zone)
	serveOn(t, vm)
	m = newMachine(t, zone)
	m.on = vm.Command
	m.start("join", zone.Token("t1", "workload"), "--port=9080=http", fmt.Sprintf("--app-user=%d", appUser))
	m.awaitReady()
	return m, vm, caller
}

// serveOn runs an application on a host.
func serveOn(t *testing.T, host *netns.Host) {
	l, err := host.Listen("tcp", ":9080")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "application") })}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
}

// publishRedirected publishes what Istio makes for redirected machines, in small: a listener for what comes
// in, one for what goes out, and a name.
func publishRedirected(t *testing.T, zone *edgetest.Zone) {
	zone.Set("app", parse(t, &cluster.Cluster{}, `{"name": "app", "type": "STATIC", "connectTimeout": "1s",
		"upstreamBindConfig": {"sourceAddress": {"address": "127.0.0.6", "portValue": 0}},
		"loadAssignment": {"clusterName": "app", "endpoints": [{"lbEndpoints": [{"endpoint": {"address": {"socketAddress": {"address": "127.0.0.1", "portValue": 9080}}}}]}]}}`))
	publishListener(t, zone, "virtualInbound", "0.0.0.0", 15006, true)
	publishRoute(t, zone, "1")
	zone.Set("virtualOutbound", parse(t, &listener.Listener{}, `{"name": "virtualOutbound", "address": {"socketAddress": {"address": "0.0.0.0", "portValue": 15001}},
		"filterChains": [{"filters": [{"name": "http", "typedConfig": {
			"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", "statPrefix": "out",
			"routeConfig": {"virtualHosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "directResponse": {"status": 200, "body": {"inlineString": "mesh"}}}]}]},
			"httpFilters": [{"name": "router", "typedConfig": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}`))
	info := xds.AppendBytes(nil, 1, []byte("240.0.0.9"))
	entry := xds.AppendBytes(xds.AppendBytes(nil, 1, []byte("ratings.shop.mesh")), 2, info)
	zone.SetAny("table", &anypb.Any{TypeUrl: "type.googleapis.com/istio.networking.nds.v1.NameTable", Value: xds.AppendBytes(nil, 1, entry)})
}

// curl asks from a host as a user and returns what comes.
func curl(host *netns.Host, user int, url string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := host.CommandAs(ctx, user, "curl", "--silent", "--show-error", "--max-time", "5", url).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return string(out), err
}

func TestRedirectedMachine(t *testing.T) {
	m, vm, caller := redirected(t)
	if got, err := curl(vm, appUser, "http://ratings:9080/"); got != "mesh" {
		t.Errorf("the application calls a name: %q, %v", got, err)
	}
	for _, address := range []string{vm.IPv4.String(), "[" + vm.IPv6.String() + "]"} {
		if got, err := curl(caller, appUser, "http://"+address+":9080/"); err == nil {
			t.Errorf("plain text from outside to %s is answered: %q", address, got)
		}
	}
	if err := callMutual(m, vm, caller); err != nil {
		t.Error(err)
	}
	if envoy, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.envoyPID())); err != nil ||
		!strings.Contains(string(envoy), "CapEff:\t0000000000000000") || !strings.Contains(string(envoy), "Uid:\t1337") {
		t.Errorf("Envoy has rights: %v\n%s", err, envoy)
	}
	m.zone.ForgetIlls()
	m.awaitSaved("ratings.shop.mesh")
	m.killAgent()
	if err := callMutual(m, vm, caller); err != nil {
		t.Errorf("without an agent: %v", err)
	}
	// A question asked while there is no agent waits for the next one.
	type answer struct {
		text string
		err  error
	}
	asked := make(chan answer)
	go func() {
		text, err := curl(vm, appUser, "http://ratings.shop.mesh:9080/")
		asked <- answer{text, err}
	}()
	select {
	case a := <-asked:
		t.Fatalf("without an agent: %+v", a)
	case <-time.After(300 * time.Millisecond): // it has asked, and waits
	}
	m.start("run")
	if a := <-asked; a.text != "mesh" {
		t.Errorf("asked while the agent was replaced: %+v", a)
	}
	m.awaitReady()
	if v := m.zone.View(); v.Ills != 0 {
		t.Errorf("the workload was said to be unhealthy %d times while the agent was replaced", v.Ills)
	}
}

func callMutual(m *machine, vm, caller *netns.Host) error {
	response, err := m.zone.ClientOf(caller.DialContext, false).Get("https://" + vm.IPv4.String() + ":9080/")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

// Another program may replace all rules of the machine. Ours come back; after leaving they are gone.
func TestRulesComeBackAndGo(t *testing.T) {
	m, vm, _ := redirected(t)
	nft := func(args ...string) string {
		out, err := vm.Command(t.Context(), "nft", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	nft("flush", "ruleset")
	m.eventually("the rules are back", func() error {
		if !strings.Contains(nft("list", "tables"), "isthmus") {
			return errors.New("they are not")
		}
		return nil
	})
	if out, err := m.command(t.Context(), "leave").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if tables := nft("list", "tables"); tables != "" {
		t.Error(tables)
	}
}
