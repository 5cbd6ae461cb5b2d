package kube

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/isthmus-mesh/isthmus/meshtest"
	"github.com/isthmus-mesh/isthmus/tools/cache"
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
	if files.agent, err = copied(ctx, programs.Agent, dir); err != nil {
		return files, err
	}
	files.bootstrap, err = copied(ctx, programs.EnvoyBootstrap, dir)
	return files, err
}

func copied(ctx context.Context, from, dir string) (string, error) {
	return cache.File(ctx, filepath.Join(dir, filepath.Base(from)), func(temp string) error {
		source, err := os.Open(from)
		if err != nil {
			return err
		}
		defer source.Close()
		target, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
		if err != nil {
			return err
		}
		if _, err := io.Copy(target, source); err != nil {
			target.Close()
			return err
		}
		return target.Close()
	})
}
