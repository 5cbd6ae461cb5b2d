package pilot

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	networking "istio.io/api/networking/v1alpha3"
	v3 "istio.io/istio/pilot/pkg/xds/v3"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/schema/gvk"
)

// sources are the kinds that a type of Envoy's configuration is made from.
var sources = map[string][]config.GroupVersionKind{
	v3.ClusterType:  {gvk.ServiceEntry, gvk.DestinationRule, gvk.VirtualService, gvk.Sidecar, gvk.PeerAuthentication, gvk.EnvoyFilter},
	v3.EndpointType: {gvk.ServiceEntry, gvk.DestinationRule},
	v3.ListenerType: {
		gvk.Gateway, gvk.VirtualService, gvk.ServiceEntry, gvk.DestinationRule, gvk.Sidecar, gvk.AuthorizationPolicy,
		gvk.RequestAuthentication, gvk.PeerAuthentication, gvk.Telemetry, gvk.ProxyConfig, gvk.EnvoyFilter,
	},
	v3.RouteType:                  {gvk.VirtualService, gvk.ServiceEntry, gvk.DestinationRule, gvk.Gateway, gvk.Sidecar, gvk.EnvoyFilter},
	v3.ExtensionConfigurationType: {gvk.EnvoyFilter},
}

// guards are the kinds whose absence opens something.
var guards = []config.GroupVersionKind{gvk.AuthorizationPolicy, gvk.RequestAuthentication, gvk.PeerAuthentication, gvk.Sidecar}

// local are Envoy's words for faults of the machine.
var local = []string{"cannot bind", "Address already in use", "Setting socket options failed", "Permission denied"}

// suspects are the resources that a rejection may be about, as few as can be told without trying. Caller holds mu.
func (p *Pilot) suspects(t trouble) []*entry {
	for _, words := range local {
		if strings.Contains(t.message, words) {
			return nil
		}
	}
	since := max(t.stream.ledger.acknowledged().epoch, p.streams.proven(t.stream.class))
	all := p.changedBetween(since, t, func(e *entry) bool { return !e.proven() })
	if t.letter.nonce == "" {
		return all // the words are not about any of them
	}
	if len(all) == 0 && since == 0 { // nobody like it was here before: what others accept may not touch them
		return onlyOne(narrow(p.changedBetween(since, t, (*entry).proven), t.message))
	}
	if close := narrow(all, t.message); len(close) > 0 {
		return close
	}
	return all
}

func onlyOne(entries []*entry) []*entry {
	if len(entries) == 1 {
		return entries
	}
	return nil
}

// changedBetween lists, by name, what the proxy had not acknowledged when it rejected. Caller holds mu.
func (p *Pilot) changedBetween(since uint64, t trouble, also func(*entry) bool) []*entry {
	var out []*entry
	for _, e := range p.resources {
		if e.serving == nil || e.changed <= since || e.changed > t.letter.version.epoch {
			continue
		}
		if e.serving.concerns(t.stream.class.role) && e.serving.makes(t) && also(e) {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b *entry) int { return strings.Compare(a.name, b.name) })
	return out
}

// makes tells whether the rejected response can be made from the content.
func (c *content) makes(t trouble) bool {
	if c.secret == nil {
		return slices.Contains(sources[t.letter.typeURL], c.config.GroupVersionKind)
	}
	return t.letter.typeURL == v3.SecretType && slices.ContainsFunc(t.letter.names, func(n string) bool {
		return secretResource(n, t.stream.class.workspace) == c.GetName()
	})
}

// secretResource is the resource behind the name that Envoy uses for a secret: "kubernetes://[NAMESPACE/]NAME[-cacert]"
// or "configmap://NAMESPACE/NAME[-cacert]".
func secretResource(name, workspace string) string {
	name = strings.TrimSuffix(name, authoritySuffix)
	if configMap, ok := strings.CutPrefix(name, configMapScheme); ok {
		return configMapKind + "/" + configMap
	}
	name = strings.TrimPrefix(name, "kubernetes://")
	if !strings.Contains(name, "/") {
		name = workspace + "/" + name
	}
	return secretKind + "/" + name
}

// concerns tells whether proxies of the role get anything of the content.
func (c *content) concerns(role Role) bool {
	if c.secret != nil {
		return role == Gateway || strings.HasPrefix(c.GetName(), configMapKind+"/")
	}
	switch spec := c.config.Spec.(type) {
	case *networking.Gateway:
		return role == Gateway
	case *networking.Sidecar:
		return role == Sidecar
	case *networking.VirtualService:
		inMesh := len(spec.Gateways) == 0 || slices.Contains(spec.Gateways, "mesh")
		atGateway := slices.ContainsFunc(spec.Gateways, func(g string) bool { return g != "mesh" })
		return role == Gateway && atGateway || role == Sidecar && inMesh
	}
	return true
}

// instead is what to serve when what is served is refused: what was served before. May is false when there is
// nothing and serving nothing would be worse.
func (e *entry) instead() (c *content, may bool) {
	if e.serving == nil {
		return nil, true
	}
	for _, c := range e.history {
		if c.GetVersion() != e.serving.GetVersion() {
			return c, true
		}
	}
	guard := e.serving.config != nil && slices.Contains(guards, e.serving.config.GroupVersionKind)
	return nil, !guard || !e.proven()
}

// proven tells whether all proxies concerned acknowledged what is served.
func (e *entry) proven() bool { return e.accepted != nil && e.accepted == e.serving }

// narrow keeps those that the message quotes most of; none when it quotes nothing of any.
func narrow(entries []*entry, message string) []*entry {
	var best []*entry
	most := 0
	for _, e := range entries {
		n := 0
		if e.serving.config != nil {
			n = quoted(e.serving.config.Spec.(proto.Message).ProtoReflect(), message)
		}
		if n > most {
			best, most = nil, n
		}
		if n == most && n > 0 {
			best = append(best, e)
		}
	}
	return best
}

// leastQuote is the length from which a text in a message is no coincidence.
const leastQuote = 4

// quoted is the length of the longest text in m that the message contains, or that contains the message's end:
// regular expressions are complained about as "missing ]: [a-z".
func quoted(m protoreflect.Message, message string) int {
	end := message[strings.LastIndex(message, ": ")+1:]
	end = strings.TrimSpace(end)
	most := 0
	texts(m, func(text string) {
		if len(text) >= leastQuote && strings.Contains(message, text) {
			most = max(most, len(text))
		}
		if len(end) >= 2 && strings.Contains(text, end) {
			most = max(most, len(text))
		}
	})
	return most
}

// texts calls see with every string in the message, keys of maps included.
func texts(m protoreflect.Message, see func(string)) {
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.IsMap():
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				see(k.String())
				textsOf(field.MapValue(), v, see)
				return true
			})
		case field.IsList():
			for i := range v.List().Len() {
				textsOf(field, v.List().Get(i), see)
			}
		default:
			textsOf(field, v, see)
		}
		return true
	})
}

func textsOf(field protoreflect.FieldDescriptor, v protoreflect.Value, see func(string)) {
	switch {
	case field.Message() != nil:
		texts(v.Message(), see)
	case field.Kind() == protoreflect.StringKind:
		see(v.String())
	}
}
