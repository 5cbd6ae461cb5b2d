package envoy

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// adminTime bounds one question to Envoy's administration.
const adminTime = 2 * time.Second

// Admin speaks to Envoy's administration on its Unix socket
// (https://www.envoyproxy.io/docs/envoy/latest/operations/admin).
type Admin struct{ client *http.Client }

// NewAdmin makes a client of the socket at path. It connects when asked something.
func NewAdmin(path string) *Admin {
	return &Admin{&http.Client{Timeout: adminTime, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}}
}

func (a *Admin) do(ctx context.Context, method, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://envoy"+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := a.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("envoy: %s: %s: %s", path, response.Status, strings.TrimSpace(string(body)))
	}
	return body, nil
}

// Info is what Envoy says about itself.
type Info struct {
	// State is LIVE, DRAINING, PRE_INITIALIZING or INITIALIZING.
	State string `json:"state"`
	// Version as Envoy writes it: COMMIT/VERSION/….
	Version string `json:"version"`
	Node    struct {
		ID string `json:"id"`
	} `json:"node"`
}

// Info asks what Envoy is and how far it is.
func (a *Admin) Info(ctx context.Context) (Info, error) {
	var info Info
	body, err := a.do(ctx, http.MethodGet, "/server_info")
	if err != nil {
		return info, err
	}
	return info, json.Unmarshal(body, &info)
}

// Stats are the numbers that tell whether Envoy works.
type Stats struct {
	Listeners   int `json:"listeners"`
	Clusters    int `json:"clusters"`
	Connections int `json:"connections"`
	// Memory in bytes, as Envoy's allocator counts.
	Memory int `json:"memoryBytes"`
}

const statsPath = "/stats?format=json&filter=^(listener_manager.total_listeners_active|cluster_manager.active_clusters|server.total_connections|server.memory_allocated)$"

// Stats asks for [Stats].
func (a *Admin) Stats(ctx context.Context) (Stats, error) {
	body, err := a.do(ctx, http.MethodGet, statsPath)
	if err != nil {
		return Stats{}, err
	}
	return decodeStats(body)
}

func decodeStats(body []byte) (Stats, error) {
	var page struct {
		Stats []struct {
			Name  string `json:"name"`
			Value any    `json:"value"`
		} `json:"stats"`
	}
	var s Stats
	if err := json.Unmarshal(body, &page); err != nil {
		return s, err
	}
	places := map[string]*int{
		"listener_manager.total_listeners_active": &s.Listeners, "cluster_manager.active_clusters": &s.Clusters,
		"server.total_connections": &s.Connections, "server.memory_allocated": &s.Memory,
	}
	for _, stat := range page.Stats {
		if value, ok := stat.Value.(float64); ok && places[stat.Name] != nil {
			*places[stat.Name] = int(value)
		}
	}
	return s, nil
}

// drainListeners stops accepting, lets what was begun finish and tells clients not to come back.
func (a *Admin) drainListeners(ctx context.Context) error {
	_, err := a.do(ctx, http.MethodPost, "/drain_listeners?graceful")
	return err
}

// reopenLogs makes Envoy write to a new file of the old name.
func (a *Admin) reopenLogs(ctx context.Context) error {
	_, err := a.do(ctx, http.MethodPost, "/reopen_logs")
	return err
}
