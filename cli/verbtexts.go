package cli

// verbText is the help of one of kubectl's verbs in our words; use replaces the usage line if set.
type verbText struct{ use, short, long, example string }

// verbFlagTexts replaces flag texts that speak of things a hub does not have.
var verbFlagTexts = map[string]string{
	"output":        "how to print: json, yaml, name, wide, jsonpath=..., custom-columns=..., go-template=...",
	"save-config":   "record this as the last configuration applied, for a later isthmus apply",
	"field-manager": "name under which the fields are owned; the default is that of other Kubernetes clients, so that they may be mixed",
	"subresource":   "part of the object, for instance status",
	"cascade":       "leave at background: a hub has no objects that own others",
	"grace-period":  "has no effect on objects of a hub",
}

var verbTexts = map[string]verbText{
	"get": {
		use:   "get KIND[,KIND...] [NAME...] [flags]",
		short: "Print objects",
		long: `Print one or many objects.

Beside what you wrote (workspaces, services, httproutes, ...) there is what is: workloads, proxies,
discoveredservices and revisions. "isthmus api-resources" lists all kinds, "isthmus" as a kind
means all of our own that you may write.`,
		example: `  isthmus get workspaces,services,httproutes -A
  isthmus get isthmus -n shop
  isthmus get httproute reviews -n shop -o yaml
  isthmus get proxies -n shop --watch
  isthmus get workloads -A -l isthmus.dev/version=v2`,
	},
	"apply": {
		short: "Create or change objects as a file says",
		long: `Create or change the objects in files, directories, URLs or on standard input. What a file no
longer says is removed from the object. Unknown fields are refused.

--dry-run=server asks the hub without changing anything.`,
		example: `  isthmus apply -f examples/canary-10.yaml
  isthmus apply -f shop/ --recursive
  isthmus apply -f route.yaml --dry-run=server
  isthmus apply -f route.yaml --server-side`,
	},
	"apply edit-last-applied": {
		short:   "Edit what was applied last",
		long:    "Open the configuration that apply recorded of an object in an editor, and apply the result.",
		example: "  isthmus apply edit-last-applied httproute/reviews -n shop",
	},
	"apply set-last-applied": {
		short:   "Record a file as what was applied last",
		long:    "Record a file as the last applied configuration of an object without changing the object otherwise.",
		example: "  isthmus apply set-last-applied -f route.yaml",
	},
	"apply view-last-applied": {
		short:   "Print what was applied last",
		long:    "Print the configuration that apply recorded of objects.",
		example: "  isthmus apply view-last-applied httproute/reviews -n shop",
	},
	"diff": {
		short: "Show what apply would change",
		long: `Compare files with the objects of the hub, defaults and admission included. The program that
compares is diff, or what KUBECTL_EXTERNAL_DIFF names. The exit code is 1 when there are differences.`,
		example: "  isthmus diff -f examples/canary-10.yaml",
	},
	"describe": {
		short: "Tell everything about an object",
		long:  "Print an object with its conditions and events, for reading.",
		example: `  isthmus describe httproute reviews -n shop
  isthmus describe zone dc1`,
	},
	"explain": {
		short: "Explain the fields of a kind",
		long:  "Explain a kind or one of its fields, from the hub's own schema.",
		example: `  isthmus explain httproute.spec
  isthmus explain trafficpolicy.spec.retries
  isthmus explain gateway --recursive`,
	},
	"wait": {
		short: "Wait for a condition",
		long: `Wait until objects have a condition or a value, exist, or are gone. Programmed becomes True when
every proxy concerned has acknowledged the object as it is now.`,
		example: `  isthmus wait --for=condition=Programmed httproute/reviews -n shop
  isthmus wait --for=condition=Connected zone/dc1 --timeout=30s
  isthmus wait --for=delete workspace/shop`,
	},
	"edit": {
		short:   "Edit an object in an editor",
		long:    "Open objects in the editor that KUBE_EDITOR or EDITOR names, and store the result.",
		example: "  isthmus edit trafficpolicy reviews -n shop",
	},
	"delete": {
		short: "Delete objects",
		long: `Delete objects by file, name or label. Deleting a workspace deletes everything in it. Running
applications are never stopped by this; what they may reach changes.`,
		example: `  isthmus delete -f examples/canary-10.yaml
  isthmus delete httproute reviews -n shop
  isthmus delete workspace shop`,
	},
	"events": {
		short: "List events",
		long:  "List what happened to objects, oldest first.",
		example: `  isthmus events -n shop
  isthmus events -n shop --for httproute/reviews --watch`,
	},
	"create": {
		short:   "Create an object",
		long:    "Create objects from files or standard input, or one of the kinds below from flags.",
		example: "  isthmus create -f workspace.yaml",
	},
	"create namespace": {
		short:   "Create a namespace",
		long:    "Create a namespace. A Workspace creates its own; one made here holds objects of no workspace.",
		example: "  isthmus create namespace archive",
	},
	"create secret": {
		short: "Create a secret",
		long:  "Create a secret. Secrets are encrypted where the hub stores them.",
	},
	"create secret tls": {
		short:   "Create the certificate of a gateway",
		long:    "Create a secret from a certificate and its key, for the listeners of a Gateway.",
		example: "  isthmus create secret tls shop-cert -n shop --cert=shop.pem --key=shop-key.pem",
	},
	"create secret generic": {
		short:   "Create a secret from files or values",
		long:    "Create a secret from files, directories or literal values.",
		example: "  isthmus create secret generic partner-ca -n shop --from-file=ca.crt",
	},
	"create configmap": {
		short:   "Create a config map from files or values",
		long:    "Create a config map from files, directories or literal values, for instance certificates to trust.",
		example: "  isthmus create configmap partner-roots -n shop --from-file=ca.crt",
	},
	"create serviceaccount": {
		short:   "Create an account for a program",
		long:    "Create a service account in a workspace.",
		example: "  isthmus create serviceaccount deployer -n shop",
	},
	"patch": {
		short:   "Change fields of an object",
		long:    "Change fields of an object by a merge patch or a JSON patch. The kinds of a mesh know no strategic merge patch: give --type.",
		example: `  isthmus patch workspace shop --type=merge -p '{"spec":{"imports":["payments"]}}'`,
	},
	"label": {
		short: "Change the labels of an object",
		long:  "Set or remove labels of objects.",
		example: `  isthmus label workspace shop team=storefront
  isthmus label workspace shop team-`,
	},
	"annotate": {
		short: "Change the annotations of an object",
		long:  "Set or remove annotations of objects.",
		example: `  isthmus annotate httproute reviews -n shop ticket=SHOP-42
  isthmus annotate httproute reviews -n shop ticket-`,
	},
	"auth": {
		short: "Ask what you may do",
		long:  "Ask the hub who you are and what you may do.",
	},
	"auth can-i": {
		short: "Ask whether something is allowed",
		long:  "Ask the hub whether you may do something. The exit code is 1 when you may not.",
		example: `  isthmus auth can-i create httproutes -n shop
  isthmus auth can-i --list -n shop`,
	},
	"auth whoami": {
		short:   "Ask who you are",
		long:    "Ask the hub which user and groups it takes you for.",
		example: "  isthmus auth whoami",
	},
	"api-resources": {
		short: "List the kinds the hub has",
		long:  "List the kinds of objects that the hub serves, with their short names.",
		example: `  isthmus api-resources
  isthmus api-resources --api-group=isthmus.dev -o wide`,
	},
}
