package compiler

import (
	"slices"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler/istio"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// meshHost computes unitMeshHost: the routing that callers of a service meet.
func meshHost(w *work) any {
	k := w.node.key
	var attachments []attachment
	for m := range w.members() {
		if a, is := m.(attachment); is {
			attachments = append(attachments, a)
		}
	}
	s := value[*plan.Service](w, serviceKey(k.namespace, k.name))
	if s == nil {
		return nil
	}
	host := &plan.VirtualHost{Workspace: k.part, Service: visible(w, s)}
	host.Entries, host.Streams = merge(w, attachments, s)
	own := uncontested(w, host)
	if all := value[sites](w, sitesKey(k.part)); all != nil {
		return siteHosts(w, host, s, all, own)
	}
	if own != nil {
		return render(w, k.part, istio.DirectRoutes(host, own.read, own.backends))
	}
	addDefaults(w, host, s, false)
	if len(host.Entries) == 0 && len(host.Streams) == 0 {
		return nil
	}
	return render(w, k.part, istio.MeshRoutes(host))
}

// siteHosts are the routing of each zone of a workspace, of which one is bridged.
func siteHosts(w *work, common *plan.VirtualHost, s *plan.Service, all sites, own *directed) any {
	var b bundle
	for i := range all {
		c := crossing{w, &all[i]}
		if c.name(s) == "" {
			for _, from := range routesOf(common) {
				c.unnamed(s, from)
			}
			continue
		}
		if own != nil && staysAt(w, own, s, c.here) {
			host := *common
			host.Site = c.here
			b.add(renderFor(w, zoneReach(c.here.Zone), istio.DirectRoutes(&host, own.read, own.backends)))
			continue
		}
		host := *common
		host.Entries, host.Streams = slices.Clone(common.Entries), slices.Clone(common.Streams)
		addDefaults(w, &host, s, c.crosses(s))
		if len(host.Entries) > 0 || len(host.Streams) > 0 {
			b.add(renderFor(w, zoneReach(c.here.Zone), istio.MeshRoutes(c.host(&host))))
		}
	}
	return b.value()
}

func routesOf(host *plan.VirtualHost) []plan.Origin {
	var all []plan.Origin
	for _, entry := range host.Entries {
		all = append(all, entry.Rule.Origin)
	}
	for _, stream := range host.Streams {
		all = append(all, stream.Origin)
	}
	return all
}

// gatewayHost computes unitGatewayHost: the routing under one hostname at one listener.
func gatewayHost(w *work) any {
	k := w.node.key
	var attachments []attachment
	for m := range w.members() {
		attachments = append(attachments, m.(attachment))
	}
	host := &plan.VirtualHost{Workspace: k.namespace, Gateway: k.name, Listener: k.kind, Host: k.part}
	host.Entries, host.Streams = merge(w, attachments, nil)
	for i := range host.Streams {
		if k.part != plan.Any {
			host.Streams[i].Names = []string{k.part}
		}
	}
	if len(host.Entries) == 0 && len(host.Streams) == 0 {
		return nil
	}
	all := value[sites](w, sitesKey(k.namespace))
	if all == nil {
		return render(w, k.namespace, istio.GatewayRoutes(host))
	}
	var b bundle
	for i := range all {
		if c := (crossing{w, &all[i]}); !c.here.IsKubernetes() { // whose gateways serve routes of their own
			b.add(renderFor(w, zoneReach(c.here.Zone), istio.GatewayRoutes(c.host(host))))
		}
	}
	return b.value()
}

// merge puts the rules of several routes in match order, for one service or, without one, for a
// hostname at a gateway.
func merge(w *work, attachments []attachment, s *plan.Service) (entries []plan.Entry, streams []plan.Stream) {
	slices.SortStableFunc(attachments, func(a, b attachment) int { return a.route.older(b.route) })
	for _, a := range oneKind(w, attachments) {
		port := portOf(s, a)
		for _, entry := range a.route.entries {
			entry.Port = port
			entries = append(entries, entry)
		}
		for _, stream := range a.route.streams {
			stream.Port = port
			if s != nil && a.route.key.kind == kindTLSRoute {
				stream.Names = serverNames(s, a.route)
			}
			streams = append(streams, stream)
		}
	}
	slices.SortStableFunc(entries, func(a, b plan.Entry) int { return a.Match.Compare(&b.Match) })
	if len(attachments) > 1 {
		entries = hidden(w, entries)
	}
	return entries, firstStreams(w, streams)
}

// hidden leaves out matches that are the same as an earlier one, of another rule, and tells both.
func hidden(w *work, entries []plan.Entry) []plan.Entry {
	type place struct {
		port  int32
		match string
	}
	seen := make(map[place]*plan.Rule, len(entries))
	return slices.DeleteFunc(entries, func(e plan.Entry) bool {
		p := place{e.Port, e.Match.String()}
		winner := seen[p]
		if winner == nil {
			seen[p] = e.Rule
			return false
		}
		if winner.Origin.Name != e.Rule.Origin.Name || winner.Origin.Namespace != e.Rule.Origin.Namespace {
			tellHidden(w, p.match, winner.Origin, e.Rule.Origin)
		}
		return true
	})
}

func tellHidden(w *work, match string, winner, loser plan.Origin) {
	w.report(loser.Kind, loser.Namespace, loser.Name, against(conditionConflicted,
		problem.Overridden.Because("%s: %s matches %s too, and wins", loser.Field, winner, match)))
	w.report(winner.Kind, winner.Namespace, winner.Name, against(conditionConflicted,
		problem.Overridden.Because("%s: matches %s as %s does, and wins", winner.Field, match, loser)))
}

// portOf is the port of a service that an attachment is for; 0 when that is every port the kind of
// route can be on. A port is only compared where it must be: proxies that listen elsewhere than on
// the service's own port do not know it.
func portOf(s *plan.Service, a attachment) int32 {
	if s == nil || a.port == 0 {
		return 0
	}
	r := routeWork{routed: a.route}
	others := slices.ContainsFunc(s.Ports, func(p plan.Port) bool { return p.Number != a.port && r.fits(p.Protocol) })
	if others {
		return a.port
	}
	return 0
}

// serverNames are the names in TLS handshakes that a TLSRoute of a service is about.
func serverNames(s *plan.Service, r *routed) []string {
	if names := texts(r.hostnames); len(names) > 0 {
		return names
	}
	names := append([]string{s.Host()}, s.Aliases...)
	for _, host := range s.External {
		if plan.IsName(host) {
			names = append(names, host)
		}
	}
	return names
}

// firstStreams leaves out streams that an earlier one of the same port and names hides, and tells both.
func firstStreams(w *work, streams []plan.Stream) []plan.Stream {
	var kept []plan.Stream
	for _, stream := range streams {
		i := slices.IndexFunc(kept, func(k plan.Stream) bool { return k.Port == stream.Port && slices.Equal(k.Names, stream.Names) })
		if i < 0 {
			kept = append(kept, stream)
			continue
		}
		tellHidden(w, "the same connections", kept[i].Origin, stream.Origin)
	}
	return kept
}

// oneKind leaves out routes of another kind than the oldest one, HTTPRoute or GRPCRoute: the Gateway
// API gives no order between rules of the two. Both sides are told.
func oneKind(w *work, attachments []attachment) []attachment {
	var kept []attachment
	for _, a := range attachments {
		if len(kept) == 0 || a.route.key.kind == kept[0].route.key.kind || a.route.key.streams() || kept[0].route.key.streams() {
			kept = append(kept, a)
			continue
		}
		loser, winner := a.route.key, kept[0].route.key
		w.report(loser.kind, loser.namespace, loser.name, against(v1alpha1.ConditionAccepted,
			problem.Overridden.Because("%s %s/%s has the same host and is older", winner.kind, winner.namespace, winner.name)).at(a.parent))
		w.report(winner.kind, winner.namespace, winner.name, against(conditionConflicted,
			problem.Overridden.Because("%s %s/%s wants the same host; this route is older and keeps it", loser.kind, loser.namespace, loser.name)).at(kept[0].parent))
	}
	return kept
}

// addDefaults routes the requests of ports without routes to the service itself, where the proxies
// would not do the same by themselves, or if forced.
func addDefaults(w *work, host *plan.VirtualHost, s *plan.Service, forced bool) {
	p := policyOf(w, kindService, s.Workspace, s.Name)
	rule := &plan.Rule{Origin: plan.Origin{Kind: kindService, Namespace: s.Workspace, Name: s.Name}}
	if len(s.Origins) > 0 {
		rule.Origin = s.Origins[0]
	}
	followPolicy(rule, p)
	if len(s.External) == 1 && plan.IsName(s.External[0]) {
		rule.Rewrite = &plan.Rewrite{Host: s.External[0]}
	}
	said := p != nil && (rule.Timeout != 0 || p.Retries != nil || rule.Fault != nil)
	needed := forced || said || rule.Rewrite != nil || len(s.Aliases) > 0 || len(host.Entries) > 0 || len(host.Streams) > 0
	if !needed || !forced && host.Workspace != s.Workspace && len(host.Entries) == 0 && len(host.Streams) == 0 {
		return
	}
	ports := httpPorts(s)
	for _, port := range ports {
		if slices.ContainsFunc(host.Entries, func(e plan.Entry) bool { return e.Port == 0 || e.Port == port.Number }) {
			continue
		}
		own := *rule
		own.GRPC = port.Protocol == plan.GRPC
		own.Backends = []plan.Backend{{Service: s, Port: port.Number, Weight: 1}}
		entry := plan.Entry{Rule: &own}
		if len(ports) > 1 {
			entry.Port = port.Number
		}
		host.Entries = append(host.Entries, entry)
	}
	if len(s.Aliases) > 0 || forced {
		addDefaultStreams(host, s)
	}
}

// addDefaultStreams leads connections of further hosts to the service.
func addDefaultStreams(host *plan.VirtualHost, s *plan.Service) {
	for _, port := range s.Ports {
		if port.Protocol.IsHTTP() || slices.ContainsFunc(host.Streams, func(st plan.Stream) bool { return st.Port == 0 || st.Port == port.Number }) {
			continue
		}
		stream := plan.Stream{Port: port.Number, Backends: []plan.Backend{{Service: s, Port: port.Number, Weight: 1}}}
		if len(s.Origins) > 0 {
			stream.Origin = s.Origins[0]
		}
		if port.Protocol == plan.TLS {
			stream.Names = append([]string{s.Host()}, s.Aliases...)
		}
		host.Streams = append(host.Streams, stream)
	}
}

func httpPorts(s *plan.Service) []plan.Port {
	return slices.DeleteFunc(slices.Clone(s.Ports), func(p plan.Port) bool { return !p.Protocol.IsHTTP() })
}
