package kube

import (
	"context"
	"path/filepath"

	"github.com/isthmus-mesh/isthmus/meshtest"
	upstream "github.com/isthmus-mesh/isthmus/tools/kubernetes"
)

// podFiles are what pods need, where every user may read them.
type podFiles struct {
	// agent is Istio's agent, bootstrap its template of Envoy's bootstrap.
	agent, bootstrap string
	envoy            string
	// programs is the folder of the programs that containers run.
	programs string
}

// publish copies what lies in folders of the user who tests: proxies run as others.
func publish(ctx context.Context, programs upstream.Programs, binaries meshtest.Binaries) (podFiles, error) {
	files := podFiles{envoy: binaries.Envoy, programs: filepath.Dir(binaries.Shop)}
	dir := filepath.Join(files.programs, "istio-"+filepath.Base(filepath.Dir(programs.Agent))) // which names its content
	var err error
	if files.agent, err = meshtest.PublicCopy(ctx, programs.Agent, filepath.Join(dir, filepath.Base(programs.Agent))); err != nil {
		return files, err
	}
	files.bootstrap, err = meshtest.PublicCopy(ctx, programs.EnvoyBootstrap, filepath.Join(dir, filepath.Base(programs.EnvoyBootstrap)))
	return files, err
}
