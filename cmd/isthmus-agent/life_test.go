package main

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/isthmus-mesh/isthmus/agent/edgetest"
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
	m.eventually("the new route is in force", func() error {
		if version, err := get(url); err != nil || version != "2" {
			return fmt.Errorf("%s, %v", version, err)
		}
		return nil
	})
}
