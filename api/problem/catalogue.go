package problem

// Intent: what somebody wrote down.
var (
	BackendNotFound = Problem{"ISM1001", "BackendNotFound",
		"A route names a backend that does not exist.",
		"Create the service or subset, let a workload of it join, or correct the name; until then its share of the requests is answered with 500"}
	ParentNotFound = Problem{"ISM1002", "NoMatchingParent",
		"A route names a parent that does not exist.",
		"Create the Gateway or service, or correct parentRefs"}
	SelectsNothing = Problem{"ISM1003", "SelectsNothing",
		"A selector matches no workload.",
		"Correct the selector, or wait until such a workload joins"}
	HostnameClaimed = Problem{"ISM1004", "HostnameClaimed",
		"A hostname belongs to another workspace.",
		"Use another hostname, or have the owner give it up"}
	Overridden = Problem{"ISM1005", "Overridden",
		"Another object says something else about the same thing and wins.",
		"Remove one of the two; the more specific wins, then the older, then the name"}
	UnknownClass = Problem{"ISM1006", "UnknownClass",
		"A Gateway names a class nobody serves.",
		"Use gatewayClassName: isthmus"}
	PortWithoutProtocol = Problem{"ISM1007", "PortWithoutProtocol",
		"The protocol of a port is unknown.",
		"Say it: --port NUMBER=PROTOCOL when joining, or ports in a Service"}
	Unsupported = Problem{"ISM1008", "UnsupportedValue",
		"An object asks for something Isthmus does not do.",
		"Remove the field, or see the documentation for another way"}
	RefNotPermitted = Problem{"ISM1009", "RefNotPermitted",
		"An object refers into another workspace that does not grant it.",
		"Have the owner create a ReferenceGrant, or expose the service"}
	Rejected = Problem{"ISM1010", "RejectedByProxy",
		"Envoy refused the configuration made from this object; its last good version serves.",
		"Correct what the message names and apply again"}
	SecretInvalid = Problem{"ISM1011", "InvalidCertificateRef",
		"A listener's certificate is missing or unreadable.",
		"Create a Secret of type kubernetes.io/tls with tls.crt and tls.key in the workspace of the Gateway"}
	DuplicateService = Problem{"ISM1012", "DuplicateService",
		"Two services claim one name.",
		"Rename one of them or remove the host"}
	NoWorkspace = Problem{"ISM1013", "NoWorkspace",
		"The namespace of the object is no workspace.",
		"Create a Workspace of the same name"}
	Invalid = Problem{"ISM1014", "Invalid",
		"An object passes its schema but makes no valid configuration.",
		"Correct the field the message names"}
)

// Joining: tokens, certificates and identities.
var (
	TokenMalformed = Problem{"ISM2001", "TokenMalformed",
		"A join token cannot be read.",
		"Copy the whole token, or create another one with isthmus token create"}
	TokenUnknown = Problem{"ISM2002", "TokenUnknown",
		"A join token is not known here, or its secret is wrong.",
		"Create another one with isthmus token create"}
	TokenExpired = Problem{"ISM2003", "TokenExpired",
		"A join token is past its time.",
		"Create another one with isthmus token create"}
	TokenUsed = Problem{"ISM2004", "TokenUsed",
		"A join token was used by another key.",
		"Create another one; if you did not use it, find out who did"}
	TokenForeign = Problem{"ISM2005", "TokenForeign",
		"A join token is for another zone or role.",
		"Create one for this zone and role"}
	IdentityRefused = Problem{"ISM2006", "IdentityRefused",
		"A peer asked for something its identity does not allow.",
		"Join with a token for the service you mean to run"}
	PeerUntrusted = Problem{"ISM2007", "PeerUntrusted",
		"The other side's certificate is not from this mesh, or not of the expected role.",
		"Check the address; after a restored or replaced hub join again"}
)

// Catalogue lists every problem.
var Catalogue = []Problem{
	BackendNotFound, ParentNotFound, SelectsNothing, HostnameClaimed, Overridden, UnknownClass, PortWithoutProtocol,
	Unsupported, RefNotPermitted, Rejected, SecretInvalid, DuplicateService, NoWorkspace, Invalid,
	TokenMalformed, TokenUnknown, TokenExpired, TokenUsed, TokenForeign, IdentityRefused, PeerUntrusted,
}
