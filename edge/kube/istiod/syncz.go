package istiod

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Proxy is a connected proxy, by what istiod sent and it answered.
type Proxy struct {
	Namespace, Name string
	// Current is whether it acknowledged all that was sent to it, and was sent what every proxy needs.
	Current bool
	// Refusal is what it refuses, in its own words; empty if nothing.
	Refusal string
	// Sent changes with everything that is sent to it.
	Sent string
}

// id of a proxy in istiod.
func (p Proxy) id() string { return p.Name + "." + p.Namespace }

// Proxies asks for all proxies that are connected to this istiod. One that is connected twice is current if both
// connections are.
func (s *Stream) Proxies(ctx context.Context) (map[string]Proxy, error) {
	text, err := s.ask(ctx, "syncz")
	if err != nil {
		return nil, err
	}
	return parseProxies(text)
}

type connection struct {
	Proxy     string              `json:"proxy"`
	Type      string              `json:"proxy_type"`
	Resources map[string]exchange `json:"resources"`
}

// exchange is what was said about one type of resource.
type exchange struct{ Sent, Acked, LastError string }

// Types that every proxy gets.
var always = []string{"type.googleapis.com/envoy.config.cluster.v3.Cluster", "type.googleapis.com/envoy.config.listener.v3.Listener"}

func parseProxies(text []byte) (map[string]Proxy, error) {
	var all []connection
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("syncz: %w in %.200q", err, text)
	}
	proxies := map[string]Proxy{}
	for _, c := range all {
		at := strings.LastIndex(c.Proxy, ".")
		if at < 0 || c.Type != "sidecar" && c.Type != "router" {
			continue
		}
		p := Proxy{Namespace: c.Proxy[at+1:], Name: c.Proxy[:at], Current: c.current(), Refusal: c.refusal(), Sent: c.sent()}
		if twin, twice := proxies[c.Proxy]; twice {
			p.Current, p.Refusal, p.Sent = p.Current && twin.Current, max(p.Refusal, twin.Refusal), p.Sent+twin.Sent
		}
		proxies[c.Proxy] = p
	}
	return proxies, nil
}

func (c connection) current() bool {
	for _, e := range c.Resources {
		if e.Sent != e.Acked || e.LastError != "" {
			return false
		}
	}
	return !slices.ContainsFunc(always, func(t string) bool { return c.Resources[t].Acked == "" })
}

// refusal joins what is refused of all types.
func (c connection) refusal() string {
	var words []string
	for _, t := range slices.Sorted(maps.Keys(c.Resources)) {
		if text := strings.TrimSpace(c.Resources[t].LastError); text != "" {
			words = append(words, text)
		}
	}
	return strings.Join(words, "; ")
}

func (c connection) sent() string {
	var all strings.Builder
	for _, t := range slices.Sorted(maps.Keys(c.Resources)) {
		all.WriteString(c.Resources[t].Sent)
	}
	return all.String()
}

// At asks which push a proxy works on or has got last; 0 if it is not connected here.
func (s *Stream) At(ctx context.Context, p Proxy) (Push, error) {
	text, err := s.ask(ctx, "sidecarz?proxyID="+url.QueryEscape(p.id()))
	if err != nil {
		return 0, err
	}
	var scope struct{ Version string }
	if json.Unmarshal(text, &scope) != nil { // "Proxy not connected to this Pilot instance"
		return 0, nil
	}
	return parsePush(scope.Version), nil
}
