package sds

import (
	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/machine/xds"
)

const (
	spiffeValidator     = "envoy.tls.cert_validator.spiffe"
	spiffeValidatorType = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig"
)

// trustSecret is whom to trust among the mesh's peers. With one trust domain the roots are simply trusted; with
// several Envoy looks up the roots by the peer's trust domain, so that a foreign root vouches for its own only.
func trustSecret(own identity.TrustDomain, federated []identity.TrustDomain) xds.Any {
	if len(federated) == 0 {
		return rootsSecret(RootsName, identity.EncodeCertificates(own.Roots))
	}
	config := appendDomain(nil, own)
	for _, domain := range federated {
		config = appendDomain(config, domain)
	}
	packed := xds.AppendBytes(xds.AppendBytes(nil, 1, []byte(spiffeValidatorType)), 2, config) // google.protobuf.Any
	extension := xds.AppendBytes(xds.AppendBytes(nil, 1, []byte(spiffeValidator)), 2, packed)  // TypedExtensionConfig
	return pack(RootsName, validationContext, xds.AppendBytes(nil, customValidatorConfig, extension))
}

// appendDomain adds a SPIFFECertValidatorConfig.TrustDomain.
func appendDomain(config []byte, d identity.TrustDomain) []byte {
	domain := xds.AppendBytes(nil, 1, []byte(d.Name))
	return xds.AppendBytes(config, 1, xds.AppendBytes(domain, 2, inline(identity.EncodeCertificates(d.Roots))))
}

// rootsSecret is a Secret with roots that vouch for everybody.
func rootsSecret(name string, roots []byte) xds.Any {
	return pack(name, validationContext, xds.AppendBytes(nil, trustedCA, inline(roots)))
}

// Numbers of fields: of Secret, then of CertificateValidationContext.
const (
	validationContext = 4

	trustedCA             = 1
	customValidatorConfig = 12
)
