package compiler

// unit is a kind of work. The order below is the order of computation: a unit reads units above
// it and sends to units below it.
type unit uint8

const (
	unitInput       unit = iota // an object as it was put: kind, namespace, name
	unitGrants                  // what a namespace lets others refer to: namespace
	unitNamespace               // the workspace a namespace of a cluster belongs to: name is the zone, part the namespace
	unitWorkspace               // a workspace that exists: namespace
	unitClaim                   // the workspace a pattern of hostnames belongs to: part is the pattern
	unitFleet                   // all zones; those that are bridged if part is "bridged"; those of machines if it is "machines"
	unitTrust                   // whom clusters that keep their own roots are trusted for
	unitReach                   // the zones something goes to: namespace; or part, a zone; or neither, the whole mesh
	unitSites                   // the zones of a workspace, if one of them is bridged: namespace
	unitImporters               // the workspaces that import one: namespace
	unitPoliced                 // whether a workspace has policies at all: namespace
	unitNarrowed                // whether a workspace declares subsets at all: namespace
	unitPopulation              // label sets of all workloads of a workspace: namespace
	unitAlias                   // the service a further host belongs to: namespace or none if seen by all, part is the host
	unitService                 // a service: namespace, name
	unitSlot                    // the host a virtual address belongs to: part is the address
	unitCrowd                   // addresses of hosts whose first address is another's
	unitPolicy                  // the policy of a target: kind, namespace, name
	unitGateway                 // a gateway: namespace, name
	unitRoute                   // a route: kind, namespace, name
	unitDirect                  // an object for Istio itself: kind, namespace, name
	unitOutside                 // a host outside of the mesh that a workspace knows: namespace, part is the host
	unitHostname                // the workspace that uses a hostname at gateways: part is the hostname
	unitViewers                 // who sees a service because routes lead there: namespace, name
	unitEntry                   // ServiceEntry: namespace, name
	unitDestination             // DestinationRule: namespace, name
	unitMeshHost                // VirtualService of calls inside the mesh: namespace and name of the service, part is the caller's workspace
	unitGatewayHost             // VirtualService of a gateway: namespace, name, kind is the listener, part the hostname
	unitIngress                 // Istio Gateways of a gateway: namespace, name
	unitListener                // routes attached to a listener: namespace, name, part is the listener
	unitSecret                  // a certificate at a gateway: namespace, name, part is the namespace of the gateway
	unitRoots                   // roots to trust outside of the mesh: namespace, name
	unitSidecar                 // what a workspace's proxies see: namespace
	unitZoneInfo                // what an edge knows of its zone: name
	unitToken                   // a join token: name
	unitMesh                    // what holds for the whole mesh
	unitStatus                  // the status of an object: kind, namespace, name
	units
)

// computations gives every unit its function.
func computations(options Options) [units]func(*work) any {
	return [units]func(*work) any{
		unitInput:       input,
		unitGrants:      grants,
		unitNamespace:   namespaceOwner,
		unitWorkspace:   workspaceOf,
		unitClaim:       claim,
		unitFleet:       fleet,
		unitTrust:       trustAll(options.TrustDomain),
		unitReach:       reach,
		unitSites:       sitesOf,
		unitImporters:   importers,
		unitPoliced:     presence,
		unitNarrowed:    presence,
		unitPopulation:  population,
		unitAlias:       alias,
		unitService:     services(options.TrustDomain),
		unitSlot:        slot,
		unitCrowd:       crowd,
		unitPolicy:      policy,
		unitGateway:     gateway,
		unitRoute:       route,
		unitDirect:      directObject,
		unitOutside:     outside,
		unitHostname:    hostname,
		unitViewers:     viewers,
		unitEntry:       entry,
		unitDestination: destination,
		unitMeshHost:    meshHost,
		unitGatewayHost: gatewayHost,
		unitIngress:     ingress,
		unitListener:    listener,
		unitSecret:      secret,
		unitRoots:       roots,
		unitSidecar:     sidecar,
		unitZoneInfo:    zoneInfo,
		unitToken:       token,
		unitMesh:        mesh,
		unitStatus:      status,
	}
}

func inputKey(kind, namespace, name string) key {
	return key{unit: unitInput, kind: kind, namespace: namespace, name: name}
}

func statusKey(kind, namespace, name string) key {
	return key{unit: unitStatus, kind: kind, namespace: namespace, name: name}
}

func serviceKey(namespace, name string) key {
	return key{unit: unitService, namespace: namespace, name: name}
}

func workspaceKey(namespace string) key { return key{unit: unitWorkspace, namespace: namespace} }

func sitesKey(workspace string) key { return key{unit: unitSites, namespace: workspace} }

func policyKey(kind, namespace, name string) key {
	return key{unit: unitPolicy, kind: kind, namespace: namespace, name: name}
}

// presence computes units that only say whether there are members. Most workspaces have no policies
// and no subsets of their own; asking once spares asking for each of their services and routes.
func presence(w *work) any {
	if len(w.node.members) == 0 {
		return nil
	}
	return true
}
