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
		"Use gatewayClassName: isthmus, or isthmus-east-west for the way in from other zones"}
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
	RefNotFound = Problem{"ISM1015", "RefNotFound",
		"An object names another one that does not exist.",
		"Create it or correct the name"}
	HostnameNotListed = Problem{"ISM1016", "HostnameNotListed",
		"A hostname is not among those of its workspace.",
		"Add it to spec.hostnames of the Workspace, or use another"}
	NotAllowed = Problem{"ISM1017", "NotAllowedByListeners",
		"A Gateway does not take a route.",
		"Have the owner of the Gateway allow it in allowedRoutes of a listener"}
	NoMatchingHostname = Problem{"ISM1018", "NoMatchingListenerHostname",
		"A route and a listener have no hostname in common.",
		"Correct hostnames of the route, or hostname of the listener"}
	HostNotOwned = Problem{"ISM1019", "HostNotOwned",
		"An object of Istio's own kinds names a host that is no service of its workspace.",
		"Name a service of the workspace, as NAME, NAME.WORKSPACE or by a host of its own; the object takes effect when all it names exist"}
	NoPlaceInCluster = Problem{"ISM1030", "NoPlaceInCluster",
		"A route is about a service of another workspace, for callers in a cluster where that workspace claims no namespace: they have no name for it.",
		"Have the service's workspace claim a namespace of the cluster in spec.zones"}
	GatewayNotFound = Problem{"ISM1031", "GatewayNotFound",
		"A zone is to be entered from others by gateways that are discovered, and there is none with an address.",
		"Install Istio's east-west gateway in a namespace of the cluster that no workspace claims (a Service labelled istio: eastwestgateway, port 15443, of type LoadBalancer, NodePort or with externalIPs), or write spec.eastWest.addresses"}
	NameInMesh = Problem{"ISM1035", "NameInMesh",
		"A ServiceEntry takes a name or an address that is the mesh's own.",
		"Name hosts outside of the mesh; a service of the mesh is known to callers already"}
	NamespaceClaimed = Problem{"ISM1036", "NamespaceClaimed",
		"Two workspaces want one namespace of a cluster.",
		"Take the entry out of spec.zones or spec.observe of one of the two, or let it name another namespace"}
)

// Trust: whom zones believe.
var (
	TrustDomainTaken = Problem{"ISM1040", "TrustDomainTaken",
		"A zone is to be trusted for a trust domain that is the mesh's, or another zone's with another root.",
		"Give the cluster's Istio a trust domain of its own, or have its istiod sign with the zone's authority: isthmus edge cacerts --help"}
	TrustChanged = Problem{"ISM4040", "TrustChanged",
		"The Istio of a zone's cluster shows another root or trust domain than the zone is trusted for; the new one is not trusted.",
		"Ask the cluster's owner; if the change is right, look at it and accept it with isthmus zone federate"}
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
	RequestInvalid = Problem{"ISM2008", "RequestInvalid",
		"A certificate request cannot be read or does not prove possession of its key.",
		"Upgrade or reinstall the program that asks; its requests are made by itself"}
	ZoneNotClaimed = Problem{"ISM2009", "ZoneNotClaimed",
		"A token is asked for a zone in which its workspace does not live.",
		"Run the command that the message names, or correct the zone or the workspace"}
)

// Hub: what those who ask it meet.
var (
	HubSilent = Problem{"ISM3001", "HubSilent",
		"The hub does not answer; traffic goes on without it, changes wait.",
		"Start the hub or read its log; if it runs, check its address and the way there"}
)

// Edge: a zone's own troubles.
var (
	ResourceTooLarge = Problem{"ISM4001", "ResourceTooLarge",
		"A generated object is larger than a message to an edge may be.",
		"Split the object it was made from"}
	StateNotSaved = Problem{"ISM4002", "StateNotSaved",
		"An edge cannot write its state to disk; it serves from memory and would forget the newest changes in a restart.",
		"Free space or repair the disk of the edge's data directory"}
	StateCorrupt = Problem{"ISM4003", "StateCorrupt",
		"A file of an edge's state is damaged and was set aside.",
		"Check the disk; the edge fills the gap from the hub and from the agents when they connect"}
	InstanceTaken = Problem{"ISM4004", "InstanceTaken",
		"A workload uses the instance identifier of another one.",
		"Join again with an empty data directory; do not copy one machine's directory to another"}
	RegistrationInvalid = Problem{"ISM4005", "RegistrationInvalid",
		"A workload registers something that cannot be served.",
		"Correct what the message names on the agent's command line"}
	WorkloadUnknown = Problem{"ISM4006", "WorkloadUnknown",
		"A workload of another zone talks to this zone's edge.",
		"Use the addresses of its own zone's edges, or join this zone with a new token"}
	HubAway = Problem{"ISM4007", "HubAway",
		"The edge has no connection to the hub; it serves what it has.",
		"Check that the hub runs and that the edge reaches its feed address"}
	CertificateEnding = Problem{"ISM4008", "CertificateEnding",
		"An edge cannot renew its certificates.",
		"Bring the hub back or correct what the message names, before they end"}
	ZoneMoved = Problem{"ISM4009", "ZoneMoved",
		"The region, locality or network of a zone changed while its edge runs.",
		"Restart the edge"}
	ResourceUnreadable = Problem{"ISM4010", "ResourceUnreadable",
		"An edge cannot read something the hub sent.",
		"Run the same version of hub and edge"}
	ClusterAway = Problem{"ISM4011", "ClusterAway",
		"The edge of a Kubernetes zone gets no answer from the cluster's API; what is there goes on, changes wait.",
		"Check that the API server runs and that the edge reaches it, and what the message names besides"}
	KindNotServed = Problem{"ISM4012", "KindNotServed",
		"The cluster of a zone does not know a kind of object that the zone needs.",
		"Install Istio's CRDs in the cluster, of the version of its istiod; the edge goes on by itself"}
	ClusterForbids = Problem{"ISM4013", "ClusterForbids",
		"The cluster of a zone does not let the edge do what it must.",
		"Give the edge's service account the ClusterRole of the Helm chart again; the edge goes on by itself"}
	DriftMended = Problem{"ISM4014", "DriftMended",
		"Somebody changed or deleted an object of Isthmus in the cluster of a zone; it was put back.",
		"Change the intent in the hub instead, or stop the program that does it"}
	ObjectTaken = Problem{"ISM4015", "ObjectTaken",
		"An object in the cluster of a zone is not Isthmus's and has the name of one that should be.",
		"Delete that object if Isthmus is to have its place, or rename the intent"}
	NamespaceMissing = Problem{"ISM4016", "NamespaceMissing",
		"The cluster of a zone has no such namespace, so an object waits for it.",
		"Create the namespace, or take the intent back"}
	ClusterRefused = Problem{"ISM4017", "RefusedByCluster",
		"The API server of a zone's cluster, or an admission webhook, refuses an object.",
		"Correct what the message names, in the intent or in the cluster's policy"}
	ZoneTypeWrong = Problem{"ISM4018", "ZoneTypeWrong",
		"An edge runs for another type of zone than the zone is of.",
		"Start it with --kubeconfig or --in-cluster for a cluster, without for machines"}
	PathBlocked = Problem{"ISM4019", "PathBlocked",
		"A gateway through which other zones are entered cannot be reached from this zone.",
		"Let the port that the message names through the firewalls between the zones, start the gateway, or correct spec.eastWest of its zone"}
	ZoneTaken = Problem{"ISM4020", "ZoneTaken",
		"An edge joins as a zone that is another cluster already.",
		"Create a zone of its own for the cluster; or, if it takes the other's place, take the annotation isthmus.dev/cluster off the zone and join again"}
	ProxiesUnseen = Problem{"ISM4021", "ProxiesUnseen",
		"Proxies of a cluster do not acknowledge the newest configuration, so what they run is not known.",
		"Check that they run and reach their istiod; delete the pods that never will"}
	ProxyRefuses = Problem{"ISM4022", "ProxyRefuses",
		"A proxy of a cluster refuses what the cluster's istiod made of an object.",
		"Correct what the message names; the words are Envoy's own"}
	IstiodSilent = Problem{"ISM4023", "IstiodSilent",
		"An istiod of a cluster cannot be asked what its proxies acknowledged; changes go on and are not confirmed.",
		"Check that it runs, that the edge reaches its port 15012, and that the edge may create tokens of the account for receipts"}
)

// Agent: a machine's own troubles.
var (
	EdgeAway = Problem{"ISM5001", "EdgeAway",
		"The agent has no connection to an edge of its zone; the machine serves what it has.",
		"Check that an edge runs and that this machine reaches its address"}
	EnvoyNotReady = Problem{"ISM5002", "EnvoyNotReady",
		"Envoy does not serve.",
		"Read the end of its log, which the message names or which lies in the data directory; the agent starts Envoy again by itself"}
	EnvoyMissing = Problem{"ISM5003", "EnvoyMissing",
		"There is no Envoy to run.",
		"Install Envoy of the pinned version, or name it with --envoy"}
	RenewalFailing = Problem{"ISM5004", "RenewalFailing",
		"The certificate of the machine cannot be renewed.",
		"Correct what the message names before the certificate ends; afterwards join again with a new token"}
	ApplicationUnhealthy = Problem{"ISM5005", "ApplicationUnhealthy",
		"The application does not answer its health check, so callers are sent elsewhere.",
		"Start or repair the application, or correct --check"}
	CaptureFailed = Problem{"ISM5006", "CaptureFailed",
		"The application's traffic is not led through Envoy.",
		"Correct what the message names and restart the agent, or join with --capture=explicit"}
	ConfigurationRejected = Problem{"ISM5007", "ConfigurationRejected",
		"Envoy refuses a part of its configuration; the rest is in force.",
		"Correct what Envoy names, if it is of this machine, as a port that is taken; if not, the object that caused it says so in its status"}
	CacheNotSaved = Problem{"ISM5008", "CacheNotSaved",
		"The accepted configuration cannot be written to disk, so a reboot without an edge would serve an older one.",
		"Free space or repair the disk of the agent's data directory"}
	CacheDamaged = Problem{"ISM5009", "CacheDamaged",
		"The saved configuration was damaged and is set aside; the edge sends it again.",
		"Check the disk of the agent's data directory"}
	RegistrationDoubtful = Problem{"ISM5010", "RegistrationDoubtful",
		"The edge has a remark on what this machine registers.",
		"Correct what the message names on the agent's command line"}
	NotJoined = Problem{"ISM5011", "NotJoined",
		"This machine has not joined, or its data directory is another one.",
		"Run isthmus-agent join with a token, or name the directory with --data"}
	AlreadyJoined = Problem{"ISM5012", "AlreadyJoined",
		"The data directory belongs to a machine that has joined.",
		"Use isthmus-agent run to go on as that machine, isthmus-agent leave --forget to end it, or another --data"}
	AgentNotRunning = Problem{"ISM5013", "AgentNotRunning",
		"No agent runs on this data directory.",
		"Start it with isthmus-agent run; traffic goes on meanwhile if Envoy runs"}
	SettingInvalid = Problem{"ISM5014", "SettingInvalid",
		"A setting of the agent cannot be used.",
		"Correct the flag or the line of agent.json that the message names"}
	NamesUnanswered = Problem{"ISM5015", "NamesUnanswered",
		"The agent cannot answer questions for names.",
		"Free the address that the message names, or choose another one with --dns"}
)

// Catalogue lists every problem.
var Catalogue = []Problem{
	BackendNotFound, ParentNotFound, SelectsNothing, HostnameClaimed, Overridden, UnknownClass, PortWithoutProtocol,
	Unsupported, RefNotPermitted, Rejected, SecretInvalid, DuplicateService, NoWorkspace, Invalid,
	RefNotFound, HostnameNotListed, NotAllowed, NoMatchingHostname, HostNotOwned, NoPlaceInCluster, GatewayNotFound, NameInMesh, NamespaceClaimed,
	TrustDomainTaken, TrustChanged,
	TokenMalformed, TokenUnknown, TokenExpired, TokenUsed, TokenForeign, IdentityRefused, PeerUntrusted, RequestInvalid,
	ZoneNotClaimed, HubSilent,
	ResourceTooLarge, StateNotSaved, StateCorrupt, InstanceTaken, RegistrationInvalid, WorkloadUnknown, HubAway,
	CertificateEnding, ZoneMoved, ResourceUnreadable,
	ClusterAway, KindNotServed, ClusterForbids, DriftMended, ObjectTaken, NamespaceMissing, ClusterRefused, ZoneTypeWrong, PathBlocked, ZoneTaken,
	ProxiesUnseen, ProxyRefuses, IstiodSilent,
	EdgeAway, EnvoyNotReady, EnvoyMissing, RenewalFailing, ApplicationUnhealthy, CaptureFailed, ConfigurationRejected,
	CacheNotSaved, CacheDamaged, RegistrationDoubtful, NotJoined, AlreadyJoined, AgentNotRunning, SettingInvalid, NamesUnanswered,
}
