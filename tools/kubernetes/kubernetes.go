// Package kubernetes builds what a Kubernetes cluster with Istio is made of, once per machine, for
// tests: upstream's kube-apiserver, kube-controller-manager and etcd, and Istio's stock control plane and
// agent.
//
// They are compiled from the module in upstream/, whose versions are those of the main module.
package kubernetes

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/isthmus-mesh/isthmus/tools/gobuild"
)

// Programs are the files of the programs.
type Programs struct {
	// Kube is kube-apiserver and kube-controller-manager: which of the two, says the name it is called by.
	Kube, Etcd string
	// Istiod is pilot-discovery, Agent is pilot-agent.
	Istiod, Agent string
	// EnvoyBootstrap is the template that Istio's agent makes Envoy's bootstrap of.
	EnvoyBootstrap string
}

const (
	module  = "tools/kubernetes/upstream"
	version = "k8s.io/component-base/version."
	istio   = "istio.io/istio"
)

// kubeVersion is what the API server says it is: clients refuse one that they cannot parse.
const kubeVersion = "-X " + version + "gitVersion=v1.36.1 -X " + version + "gitMajor=1 -X " + version + "gitMinor=36"

// istioVersion is what Istio's programs say they are.
const istioVersion = "-X " + istio + "/pkg/version.buildVersion=1.31.0"

// Build returns the programs. The first time it builds them, which takes ten minutes where nothing of
// them is compiled yet; it says so on progress. The working directory must be inside the main module, as in
// a test.
func Build(ctx context.Context, progress io.Writer) (Programs, error) {
	var p Programs
	for _, program := range []struct {
		file        *string
		name, flags string
		folder      string
	}{
		{&p.Etcd, "etcd", "", "./etcd"},
		{&p.Kube, "kube-apiserver", kubeVersion, "./kube"},
		{&p.Istiod, "pilot-discovery", istioVersion, "./istiod"},
		{&p.Agent, "pilot-agent", istioVersion, "./istioagent"},
	} {
		var err error
		*program.file, err = gobuild.Program{Name: program.name, Module: module, Package: program.folder, LinkerFlags: program.flags}.Path(ctx, progress)
		if err != nil {
			return p, fmt.Errorf("building %s: %w", program.name, err)
		}
	}
	source, err := gobuild.Go(ctx, "list", "-m", "-f={{.Dir}}", istio)
	p.EnvoyBootstrap = filepath.Join(source, "tools/packaging/common/envoy_bootstrap.json")
	return p, err
}
