package istio

import (
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// Gateway renders every listener as an Istio Gateway of its own, so that routes can be bound to
// listeners. Proxies of the gateway are those that edges label with its name and workspace.
func Gateway(g *plan.Gateway) []*feedpb.Resource {
	var all []*feedpb.Resource
	for _, l := range g.Listeners {
		object := &networking.Gateway{
			Selector: map[string]string{plan.LabelGateway: g.Name, plan.LabelWorkspace: g.Workspace},
			Servers:  []*networking.Server{server(l)},
		}
		all = append(all, resource(KindGateway, g.Workspace, gatewayName(g.Name, l.Name), object, []plan.Origin{l.Origin}))
	}
	return all
}

// gatewayName is the name of the Istio Gateway of a listener, one DNS label. It is GATEWAY-LISTENER,
// with a hash where it would not be clear where the one ends and the other starts.
func gatewayName(gateway, listener string) string {
	label := gateway + "-" + labelled(listener)
	if strings.Count(label, "-") == 1 && len(label) <= 63 && strings.ToLower(listener) == listener {
		return label
	}
	return hashed(label, gateway+"/"+listener)
}

func server(l plan.Listener) *networking.Server {
	protocol, tls := serverProtocol(l)
	return &networking.Server{
		Port: &networking.Port{
			Number:   uint32(l.Port),
			Protocol: protocol,
			Name:     strings.ToLower(protocol) + "-" + strconv.Itoa(int(l.Port)),
		},
		Hosts: []string{"./" + l.Host},
		Tls:   tls,
	}
}

func serverProtocol(l plan.Listener) (string, *networking.ServerTLSSettings) {
	switch l.Protocol {
	case plan.ListenHTTPS:
		return "HTTPS", terminate(l)
	case plan.ListenTLS:
		return "TLS", terminate(l)
	case plan.ListenPassthrough:
		return "TLS", &networking.ServerTLSSettings{Mode: networking.ServerTLSSettings_PASSTHROUGH}
	case plan.ListenTCP:
		return "TCP", nil
	}
	return "HTTP", nil
}

// terminate ends TLS with certificates that proxies fetch by name, TLS 1.2 at least.
func terminate(l plan.Listener) *networking.ServerTLSSettings {
	tls := &networking.ServerTLSSettings{
		Mode:               networking.ServerTLSSettings_SIMPLE,
		MinProtocolVersion: networking.ServerTLSSettings_TLSV1_2,
	}
	for _, certificate := range l.Certificates {
		tls.CredentialNames = append(tls.CredentialNames, credentialScheme+certificate)
	}
	if len(tls.CredentialNames) == 1 {
		tls.CredentialName, tls.CredentialNames = tls.CredentialNames[0], nil
	}
	return tls
}

// credentialScheme starts the name by which a proxy asks for a Secret of its own namespace.
const credentialScheme = "kubernetes://"
