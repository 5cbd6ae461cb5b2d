package main

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/isthmus-mesh/isthmus/agent"
)

// flags are the settings as the command line has them.
type flags struct {
	settings  agent.Settings
	ports     []string
	labels    []string
	upstreams []string
}

// addTo adds the flags of every machine.
func (f *flags) addTo(set *pflag.FlagSet) {
	s := &f.settings
	set.StringVar(&s.Host, "host", "", "name of this machine in lists; default: what the system says")
	set.StringSliceVar(&s.Addresses, "address", nil, "address at which others reach this machine, the first being the one that counts; default: the one that leads to the edge")
	set.StringArrayVar(&f.labels, "label", nil, "KEY=VALUE to select this workload by; may be repeated")
	set.StringVar(&s.Envoy, "envoy", "", "path of Envoy; default: $ISTHMUS_ENVOY, PATH, or a cached or fetched one")
	set.StringVar(&s.EnvoyUser, "envoy-user", "", "user that root runs Envoy as; default: isthmus-envoy if there is one, else 1337")
	set.StringSliceVar(&s.Resolvers, "resolver", nil, "ADDRESS:PORT of those who know names outside the mesh; default: those of /etc/resolv.conf")
	set.StringVar(&s.DNS, "dns", "", "ADDRESS:PORT on which names are answered, or off; default: 127.0.0.1:15053 if connections are redirected")
	set.BoolVar(&s.LeaveOnStop, "leave-on-stop", false, "take the workload out of service and end Envoy whenever the agent is told to stop (SIGTERM)")
}

// addWorkload adds the flags of machines with an application.
func (f *flags) addWorkload(set *pflag.FlagSet) {
	s := &f.settings
	set.StringArrayVar(&f.ports, "port", nil, "NUMBER=PROTOCOL[:TARGET] the application serves; PROTOCOL is http, http2, grpc, tcp or tls; TARGET is where it listens on 127.0.0.1 if nothing is redirected; may be repeated")
	set.StringVar(&s.WorkloadVersion, "version", "", "version of the application, for instance v2")
	set.StringVar(&s.Capture, "capture", agent.CaptureAuto, "how connections get to Envoy: redirect (nftables, as root), explicit (the application dials Envoy), or auto")
	set.StringSliceVar(&s.AppUsers, "app-user", nil, "users whose connections are redirected; default: all but root and Envoy's")
	set.StringVar(&s.HTTPProxy, "http-proxy", "", "ADDRESS:PORT of an HTTP proxy for the application, if nothing is redirected")
	set.StringArrayVar(&f.upstreams, "upstream", nil, "HOST:PORT=ADDRESS:PORT makes a service reachable here, if nothing is redirected; may be repeated")
	set.StringVar(&s.Check, "check", "", "how to ask the application whether it is healthy: tcp, grpc, tcp://…, http://…, grpc://…/SERVICE or none; default: connect to the first port")
}

// read returns the settings.
func (f *flags) read() (agent.Settings, error) {
	s := f.settings
	for _, text := range f.ports {
		port, err := agent.ParsePort(text)
		if err != nil {
			return s, err
		}
		s.Ports = append(s.Ports, port)
	}
	for _, text := range f.upstreams {
		upstream, err := agent.ParseUpstream(text)
		if err != nil {
			return s, err
		}
		s.Upstreams = append(s.Upstreams, upstream)
	}
	for _, text := range f.labels {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" {
			return s, fmt.Errorf("label %q: want KEY=VALUE", text)
		}
		if s.Labels == nil {
			s.Labels = map[string]string{}
		}
		s.Labels[key] = value
	}
	return s, nil
}
