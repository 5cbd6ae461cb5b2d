package roster

import (
	"encoding/hex"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// The most a workload may register: far more than any uses, little enough that one agent cannot fill
// the memory of the edge and of every proxy.
const (
	maxItems     = 256
	maxLabels    = 64
	maxAddresses = 16
	maxText      = 253
)

// reserved is the prefix of labels that only the edge sets.
const reserved = "isthmus.dev/"

var (
	protocols  = []string{"http", "http2", "grpc", "tcp", "tls"}
	labelKey   = regexp.MustCompile(`^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`)
	labelValue = regexp.MustCompile(`^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$`)
)

// validate returns what is wrong with a registration, as [problem.RegistrationInvalid], or nil.
func validate(w *machinepb.Workload) error {
	instance, err := hex.DecodeString(w.Instance)
	switch {
	case err != nil || len(instance) < 8 || len(instance) > 64:
		return invalid("instance %q is not at least 64 bits, hexadecimal", w.Instance)
	case !labelValue.MatchString(w.Version):
		return invalid("version %q is no label: letters, digits, '-', '_' and '.', at most 63", w.Version)
	case len(w.Host) > maxText || len(w.AgentVersion) > maxText || len(w.EnvoyVersion) > maxText:
		return invalid("a name is longer than %d", maxText)
	}
	for _, check := range []func(*machinepb.Workload) error{validateAddresses, validatePorts, validateLabels, validateUpstreams} {
		if err := check(w); err != nil {
			return err
		}
	}
	return nil
}

func validateAddresses(w *machinepb.Workload) error {
	if len(w.Addresses) == 0 || len(w.Addresses) > maxAddresses {
		return invalid("%d addresses, want 1 to %d", len(w.Addresses), maxAddresses)
	}
	for _, text := range w.Addresses {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() {
			return invalid("address %q is not one at which callers can reach the workload", text)
		}
	}
	return nil
}

func validatePorts(w *machinepb.Workload) error {
	if len(w.Ports) > maxItems {
		return invalid("%d ports, more than %d", len(w.Ports), maxItems)
	}
	seen := map[uint32]bool{}
	for _, p := range w.Ports {
		switch {
		case p.Port == 0 || p.Port > 65535 || p.Target > 65535:
			return invalid("port %d (target %d) is not between 1 and 65535", p.Port, p.Target)
		case !slices.Contains(protocols, p.Protocol):
			return problem.RegistrationInvalid.Because("port %d has the protocol %q, want one of %s", p.Port, p.Protocol, strings.Join(protocols, ", "))
		case seen[p.Port]:
			return invalid("port %d is registered twice", p.Port)
		}
		seen[p.Port] = true
	}
	return nil
}

func validateLabels(w *machinepb.Workload) error {
	if len(w.Labels) > maxLabels {
		return invalid("%d labels, more than %d", len(w.Labels), maxLabels)
	}
	for key, value := range w.Labels {
		switch {
		case strings.HasPrefix(key, reserved):
			return invalid("label %q is reserved", key)
		case !labelKey.MatchString(key) || !labelValue.MatchString(value):
			return invalid("label %q=%q is malformed", key, value)
		}
	}
	return nil
}

func validateUpstreams(w *machinepb.Workload) error {
	if len(w.Upstreams) > maxItems {
		return invalid("%d upstreams, more than %d", len(w.Upstreams), maxItems)
	}
	for _, u := range w.Upstreams {
		if u.Host == "" || len(u.Host) > maxText || u.Port == 0 || u.Port > 65535 {
			return invalid("upstream %q:%d is no host and port", u.Host, u.Port)
		}
		if _, err := netip.ParseAddrPort(u.Listen); err != nil {
			return invalid("upstream %s listens on %q, want ADDRESS:PORT", u.Host, u.Listen)
		}
	}
	if _, err := netip.ParseAddrPort(w.HttpProxy); w.HttpProxy != "" && err != nil {
		return invalid("the HTTP proxy listens on %q, want ADDRESS:PORT", w.HttpProxy)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return problem.RegistrationInvalid.Because(format, args...)
}
