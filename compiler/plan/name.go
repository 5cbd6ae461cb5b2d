package plan

// Domain is the DNS domain of the mesh.
const Domain = "mesh"

// Labels that edges set on every workload, and that selectors of the plan use.
const (
	LabelWorkspace = "isthmus.dev/workspace"
	LabelService   = "isthmus.dev/service"
	LabelVersion   = "isthmus.dev/version"
	LabelZone      = "isthmus.dev/zone"
	// LabelGateway is on the proxies of a gateway only: its name.
	LabelGateway = "isthmus.dev/gateway"
)

// Host is the full name of a service inside the mesh.
func Host(workspace, name string) string { return name + "." + workspace + "." + Domain }
