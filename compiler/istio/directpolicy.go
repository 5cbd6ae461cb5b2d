package istio

import (
	"fmt"
	"maps"
	"slices"

	security "istio.io/api/security/v1beta1"
	selection "istio.io/api/type/v1beta1"
	istiosecurity "istio.io/istio/pkg/config/security"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// targeted are policies that may name what they are about instead of selecting workloads.
type targeted interface {
	GetTargetRef() *selection.PolicyTargetReference
	GetTargetRefs() []*selection.PolicyTargetReference
}

func targetEscapes(policy targeted) string {
	if policy.GetTargetRef() != nil || len(policy.GetTargetRefs()) > 0 {
		return "spec.targetRefs"
	}
	return ""
}

// keysEscape refuses rules without keys: whoever makes configuration of them would go and ask the issuer.
func keysEscape(policy *security.RequestAuthentication) string {
	for i, rule := range policy.JwtRules {
		if rule.Jwks == "" && rule.JwksUri == "" {
			return fmt.Sprintf("spec.jwtRules[%d] has neither jwks nor jwksUri, and keys are not looked for at the issuer; name one of the two", i)
		}
	}
	return ""
}

// loosens says where the object would let callers in without mutual TLS.
func loosens(policy *security.PeerAuthentication) string {
	if field := below(policy.Mtls, "spec.mtls.mode"); field != "" {
		return field
	}
	for _, port := range slices.Sorted(maps.Keys(policy.PortLevelMtls)) {
		if field := below(policy.PortLevelMtls[port], fmt.Sprintf("spec.portLevelMtls[%d].mode", port)); field != "" {
			return field
		}
	}
	return ""
}

func below(mtls *security.PeerAuthentication_MutualTLS, field string) string {
	switch mode := mtls.GetMode(); mode {
	case security.PeerAuthentication_MutualTLS_PERMISSIVE, security.PeerAuthentication_MutualTLS_DISABLE:
		return fmt.Sprintf("%s: %s would let callers in without mutual TLS; it may be STRICT, or UNSET", field, mode)
	}
	return ""
}

// KeyHost is a host from which keys of tokens are fetched.
type KeyHost struct{ Field, Host string }

// KeyHosts are those that a RequestAuthentication names.
func (d *Direct) KeyHosts() []KeyHost {
	policy, is := d.spec.(*security.RequestAuthentication)
	if !is {
		return nil
	}
	var all []KeyHost
	for i, rule := range policy.JwtRules {
		if rule.JwksUri == "" {
			continue
		}
		if info, err := istiosecurity.ParseJwksURI(rule.JwksUri); err == nil {
			all = append(all, KeyHost{fmt.Sprintf("spec.jwtRules[%d].jwksUri", i), info.Hostname.String()})
		}
	}
	return all
}

// DirectPolicy renders an object that selects workloads, as it was written; but callers whom it names without a trust
// domain are of the one given, unless that is empty.
func DirectPolicy(site *plan.Site, d *Direct, trustDomain string) *feedpb.Resource {
	spec := d.spec
	if policy, is := spec.(*security.AuthorizationPolicy); is && trustDomain != "" {
		spec = within(trustDomain, policy)
	}
	return resource(d.origin.Kind, namespaceAt(site, d.origin.Namespace), d.origin.Name, spec, []plan.Origin{d.origin})
}
