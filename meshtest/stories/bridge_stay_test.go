package stories_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// stays shows the stage until Ctrl-C to whoever asks for it with ISTHMUS_STAY=1 in the environment, as "make
// demo-kubernetes" does; it reports whether somebody did.
func (b *bridge) stays() bool {
	if os.Getenv("ISTHMUS_STAY") != "1" {
		return false
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	fmt.Printf(`
One mesh of two zones runs: dc1, a zone of machines, and prod-1, a Kubernetes cluster with a stock Istio. The
service reviews lives in both. In another terminal, as root:

  ip netns exec %s bash
  export PATH=%s:%s:$PATH
  export KUBECONFIG=%s
  isthmus status
  isthmus get workloads -A

Callers on a machine and in a pod, whose reviews are those of their own side:

  ip netns exec %s runuser -u nobody -- curl -s http://reviews:9080/
  ip netns exec %s runuser -u nobody -- curl -s http://reviews:9080/

Move reviews into the cluster, and ask again:

  kubectl apply -f - <<END
%sEND

The cluster itself, whose Istio has the route as a VirtualService:

  kubectl --kubeconfig %s get virtualservices -n store

Ctrl-C ends everything.
`, b.mesh.Hub().Machine.NetNS(), filepath.Dir(b.mesh.Binaries.Isthmus), filepath.Dir(b.mesh.Binaries.Kubectl), b.mesh.Hub().Kubeconfig,
		b.web1.NetNS(), b.web2.NetNS(), weights("dc1", 0, "prod-1", 100), b.prod.Kubeconfig)
	<-ctx.Done()
	return true
}
