package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/agent/edgetest"
	"github.com/isthmus-mesh/isthmus/agent/status"
)

// get asks once and returns the header "version" of a good answer.
func get(url string) (string, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && (response.StatusCode != http.StatusOK || string(body) != "application") {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return response.Header.Get("version"), err
}

// serving is a machine that has joined and serves at url, in plain text.
func serving(t *testing.T) (m *machine, edge *edgetest.Edge, url string) {
	zone := edgetest.New(t)
	edge = zone.Start("e1")
	m = newMachine(t, zone)
	port := freePort(t)
	publish(t, zone, port, m.app.port, false)
	m.join()
	url = fmt.Sprintf("http://127.0.0.1:%d/", port)
	if _, err := get(url); err != nil {
		t.Fatal(err)
	}
	return m, edge, url
}

func TestJoinServes(t *testing.T) {
	m, _, url := serving(t)
	publishRoute(t, m.zone, "2")
	m.awaitVersion(url, "2")
	if v := m.zone.View(); v.Workload.Ports[0].Port != 9080 || !v.Health.GetHealthy() {
		t.Errorf("registered: %v, health %v", v.Workload, v.Health)
	}
}

// A killed agent stops nothing; the next one takes Envoy over and changes reach it.
func TestAgentKilledEnvoyServesOn(t *testing.T) {
	m, _, url := serving(t)
	pid := m.envoyPID()
	m.killAgent()
	if _, err := get(url); err != nil {
		t.Fatalf("without an agent: %v", err)
	}
	publishRoute(t, m.zone, "2")
	m.start("run")
	m.awaitReady()
	report, err := m.status()
	if err != nil || !report.Envoy.Adopted || report.Envoy.PID != pid || m.envoyPID() != pid {
		t.Fatalf("Envoy was %d, is %d; the agent says %+v, %v", pid, m.envoyPID(), report.Envoy, err)
	}
	m.awaitVersion(url, "2")
}

func (m *machine) awaitVersion(url, want string) {
	m.Helper()
	m.eventually("version "+want+" is in force", func() error {
		if version, err := get(url); err != nil || version != want {
			return fmt.Errorf("version %q, %v", version, err)
		}
		return nil
	})
}

// SIGTERM, as for an upgrade, stops the agent alone.
func TestUpgradeOfTheAgent(t *testing.T) {
	m, _, url := serving(t)
	pid := m.envoyPID()
	m.stopAgent()
	if _, err := get(url); err != nil {
		t.Fatal(err)
	}
	sent := m.zone.View().Sent
	m.start("run")
	m.awaitReady()
	m.zone.Await("Envoy is back", func(v edgetest.View) bool { return v.Streams == 1 })
	if now := m.zone.View().Sent; m.envoyPID() != pid || now != sent {
		t.Fatalf("Envoy was %d, is %d; %d resources were sent again", pid, m.envoyPID(), now-sent)
	}
}

// Everything of the machine dies and no edge answers, as after a power cut in the whole room.
func TestRebootWithoutEdge(t *testing.T) {
	m, edge, url := serving(t)
	m.awaitSaved(clusterType, listenerType, routeType, "inbound", "routes")
	edge.Stop()
	m.killAgent()
	m.killEnvoy()
	if _, err := get(url); err == nil {
		t.Fatal("somebody else serves")
	}
	m.start("run")
	m.awaitVersion(url, "1")
	report, err := m.status()
	if err == nil || !warns(report, "ISM5001") {
		t.Fatalf("the absence of the edge is not reported: %+v, %v", report, err)
	}
	edge.Restart()
	publishRoute(t, m.zone, "2")
	m.awaitVersion(url, "2")
	m.awaitReady()
}

// awaitSaved waits until the accepted configuration on disk holds these texts.
func (m *machine) awaitSaved(parts ...string) {
	m.Helper()
	m.eventually("the accepted configuration is on disk", func() error {
		text, err := os.ReadFile(filepath.Join(m.data, "accepted.bin"))
		for _, part := range parts {
			if err == nil && !strings.Contains(string(text), part) {
				return fmt.Errorf("%s is not", part)
			}
		}
		return err
	})
}

func warns(report *status.Report, code string) bool {
	return report != nil && slices.ContainsFunc(report.Warnings, func(w status.Warning) bool { return w.Code == code })
}

func TestEnvoyKilledIsStartedAgain(t *testing.T) {
	m, _, url := serving(t)
	pid := m.envoyPID()
	m.killEnvoy()
	m.awaitVersion(url, "1")
	m.awaitReady()
	if m.envoyPID() == pid {
		t.Fatal("the same process serves")
	}
	const said = "Envoy ended by itself once, at "
	m.zone.Await("the workload is healthy again, and tells what happened", func(v edgetest.View) bool {
		return v.Health.GetHealthy() && strings.HasPrefix(v.Health.Reason, said)
	})
	if report, err := m.status(); err != nil || !strings.HasPrefix(report.Envoy.Ended, said) {
		t.Errorf("status says %+v, %v", report, err)
	}
}

func TestEdgesFailOver(t *testing.T) {
	zone := edgetest.New(t)
	first, second := zone.Start("e1"), zone.Start("e2")
	m := newMachine(t, zone)
	port := freePort(t)
	publish(t, zone, port, m.app.port, false)
	m.join()
	url := fmt.Sprintf("http://127.0.0.1:%d/", port)
	for round, dead := range []*edgetest.Edge{first, second} {
		report, err := m.status()
		if err != nil {
			t.Fatal(err)
		}
		if report.Edge != dead.Address { // the agent chose at random where to begin
			continue
		}
		dead.Stop()
		version := fmt.Sprint("after ", round)
		publishRoute(t, zone, version)
		m.awaitVersion(url, version)
		m.awaitReady()
		dead.Restart()
	}
}

// What Envoy refuses is reported up, shown here, and never kept.
func TestRejectedIsNotKept(t *testing.T) {
	m, edge, url := serving(t)
	publishListener(t, m.zone, "taken", "127.0.0.1", m.app.port, false)
	m.zone.Await("the rejection", func(v edgetest.View) bool { return strings.Contains(v.Rejected[listenerType], "taken") })
	report, err := m.status()
	if err == nil || !warns(report, "ISM5007") {
		t.Fatalf("the rejection is not reported: %+v, %v", report, err)
	}
	m.zone.Remove(listenerType, "taken")
	publishRoute(t, m.zone, "2")
	m.awaitVersion(url, "2")
	m.awaitReady()
	m.stopAgent()
	edge.Stop()
	if text, err := os.ReadFile(filepath.Join(m.data, "accepted.bin")); err != nil || strings.Contains(string(text), "taken") {
		t.Fatalf("the rejected listener is on disk, or: %v", err)
	}
}

func TestLeave(t *testing.T) {
	m, _, url := serving(t)
	if out, err := m.command(t.Context(), "leave").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s\n%s", err, out, m.log)
	}
	if err := m.agent.Wait(); err != nil {
		t.Fatal(err)
	}
	m.agent = nil
	if v := m.zone.View(); !v.Left || m.envoyPID() != 0 {
		t.Fatalf("left: %v, Envoy: %d", v.Left, m.envoyPID())
	}
	if _, err := get(url); err == nil {
		t.Fatal("somebody serves")
	}
	m.start("run")
	m.awaitReady()
	if v := m.zone.View(); v.Left {
		t.Fatal("the workload did not come back")
	}
	m.stopAgent()
	if out, err := m.command(t.Context(), "leave", "--forget").CombinedOutput(); err != nil || m.envoyPID() != 0 || !m.zone.View().Left {
		t.Fatalf("leaving without an agent: %v, Envoy %d: %s", err, m.envoyPID(), out)
	}
	if out, err := m.command(t.Context(), "run").CombinedOutput(); err == nil || !strings.Contains(string(out), "ISM5011") {
		t.Fatalf("after forgetting: %v: %s", err, out)
	}
}

func TestLeaveOnStop(t *testing.T) {
	for _, how := range []struct {
		flag   string
		signal os.Signal
	}{{"--leave-on-stop", syscall.SIGTERM}, {"--host=h", os.Interrupt}} {
		zone := edgetest.New(t)
		zone.Start("e1")
		m := newMachine(t, zone)
		publish(t, zone, freePort(t), m.app.port, false)
		m.join(how.flag)
		_ = m.agent.Process.Signal(how.signal)
		if err := m.agent.Wait(); err != nil {
			t.Fatal(err)
		}
		m.agent = nil
		if !zone.View().Left || m.envoyPID() != 0 {
			t.Errorf("%v with %s: left %v, Envoy %d", how.signal, how.flag, zone.View().Left, m.envoyPID())
		}
	}
}

// Certificates are renewed under load, over and over: no request is lost, and no connection is closed.
func TestRenewalLosesNothing(t *testing.T) {
	zone := edgetest.New(t)
	zone.TTL = 3 * time.Second
	zone.Start("e1")
	m := newMachine(t, zone)
	port := freePort(t)
	publish(t, zone, port, m.app.port, true)
	m.join()
	connections := 0
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		connections++
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	clients := []*http.Client{zone.Client(false), zone.ClientOf(dial, true)}
	url, asked := fmt.Sprintf("https://127.0.0.1:%d/", port), 0
	for zone.View().Renewals < 4 {
		for _, client := range clients {
			response, err := client.Get(url)
			if err != nil {
				t.Fatalf("request %d: %v", asked, err)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			response.Body.Close()
			asked++
		}
	}
	if asked < 100 {
		t.Errorf("only %d requests in four renewals", asked)
	}
	if connections != 1 {
		t.Errorf("who keeps his connection made %d", connections)
	}
}

// A machine whose workload is registered anew under another name gets another Envoy.
func TestRename(t *testing.T) {
	m, edge, url := serving(t)
	pid := m.envoyPID()
	edge.Stop()
	m.zone.Rename("sidecar~127.0.0.1~reviews-2.shop~shop.mesh")
	edge.Restart()
	m.eventually("another Envoy runs", func() error {
		if now := m.envoyPID(); now == 0 || now == pid {
			return fmt.Errorf("it is %d", now)
		}
		return nil
	})
	m.awaitVersion(url, "1")
}

func TestApplicationIll(t *testing.T) {
	m, _, _ := serving(t)
	m.app.server.Close()
	m.zone.Await("the workload is unhealthy", func(v edgetest.View) bool { return v.Health != nil && !v.Health.Healthy })
	if report, err := m.status(); err == nil || !warns(report, "ISM5005") {
		t.Fatalf("the illness is not reported: %+v, %v", report, err)
	}
}
