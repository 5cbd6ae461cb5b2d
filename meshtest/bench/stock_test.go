package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/isthmus-mesh/isthmus/meshtest"
	"github.com/isthmus-mesh/isthmus/meshtest/kube"
	"github.com/isthmus-mesh/isthmus/meshtest/swarm"
)

var (
	stockOut     = flag.String("out", "", "file that BenchmarkStock writes for -stock")
	stockSizes   = flag.String("stock-proxies", "1,100,1000,2000", "numbers of simulated proxies, ascending")
	stockChanges = flag.Int("stock-changes", 100, "changes measured at each size")
)

// BenchmarkStock measures stock istiod as [measure] measures us: the same swarm over its secure port, 20 services,
// one route changed at its API server. Proxies show a token of one service account instead of certificates of their
// own, and services have no endpoints; both favour istiod. Its defaults hold, but for the limit of new streams, which
// is lifted so that the swarm can connect at all.
func BenchmarkStock(b *testing.B) {
	s := newStock(b, meshtest.New(b))
	figures := peers{}
	for _, size := range numbers(*stockSizes) {
		s.grow(size)
		s.measure(1) // after which every proxy has the route
		delays := s.measure(*stockChanges)
		figures[size] = peer{P50: percentile(delays, 50), P99: percentile(delays, 99),
			Istiod: s.residentMB(s.zone.Istiod), Store: s.residentMB(s.zone.API, s.zone.Etcd)}
		b.Logf("%d proxies: %+v", size, figures[size])
		b.ReportMetric(figures[size].P50, fmt.Sprintf("p50-ms/%d", size))
	}
	if *stockOut == "" {
		return
	}
	text, err := json.Marshal(figures)
	check(s.b, err)
	check(b, os.WriteFile(*stockOut, text, 0o644))
}

// stock is a cluster with istiod, and the proxies it serves.
type stock struct {
	*flock
	b     *testing.B
	zone  *kube.Zone
	roots *x509.CertPool
	token string
}

func newStock(b *testing.B, w *meshtest.World) *stock {
	zone := kube.On(w, "stock")
	zone.InstallIstioCRDs()
	zone.StartIstiod(kube.Istio{})
	zone.Apply(stockObjects())
	ctx, cancel := context.WithCancel(b.Context())
	group := new(errgroup.Group)
	b.Cleanup(func() { cancel(); _ = group.Wait() })
	s := &stock{b: b, zone: zone, roots: x509.NewCertPool(), flock: newFlock(ctx, group)}
	s.identify()
	return s
}

// stockObjects are services as [world.describe] has them, and a scope in which there is nothing else.
func stockObjects() string {
	text := "{apiVersion: v1, kind: Namespace, metadata: {name: bench}}\n---\n{apiVersion: v1, kind: ServiceAccount, metadata: {name: proxy, namespace: bench}}\n---\n" +
		"{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: default, namespace: bench}, spec: {egress: [{hosts: [./*]}]}}\n"
	for i := range services {
		text += fmt.Sprintf("---\n{apiVersion: v1, kind: Service, metadata: {name: %[1]s, namespace: bench}, spec: {selector: {app: %[1]s}, ports: [{name: http, port: 8080}]}}\n", serviceName(i))
	}
	return text
}

// identify learns istiod's root and takes a token that it accepts.
func (s *stock) identify() {
	meshtest.Eventually(s.b, "istiod's root is published", func() error {
		found, err := s.zone.Core.CoreV1().ConfigMaps("bench").Get(s.ctx, "istio-ca-root-cert", metav1.GetOptions{})
		if err == nil && !s.roots.AppendCertsFromPEM([]byte(found.Data["root-cert.pem"])) {
			err = fmt.Errorf("no certificate in it")
		}
		return err
	})
	seconds := int64(24 * 3600)
	answer, err := s.zone.Core.CoreV1().ServiceAccounts("bench").CreateToken(s.ctx, "proxy", &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"istio-ca"}, ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
	check(s.b, err)
	s.token = answer.Status.Token
}

// bearer shows a token with every stream.
type bearer string

// GetRequestMetadata implements [credentials.PerRPCCredentials].
func (t bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(t), "clusterid": "stock"}, nil
}

// RequireTransportSecurity implements [credentials.PerRPCCredentials].
func (bearer) RequireTransportSecurity() bool { return true }

// grow connects proxies up to a number.
func (s *stock) grow(size int) {
	for i := len(s.proxies); i < size; i++ {
		conn, err := grpc.NewClient("passthrough:///"+s.zone.IstiodAddress(),
			grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: s.roots, ServerName: "istiod.istio-system.svc"})),
			grpc.WithPerRPCCredentials(bearer(s.token)), grpc.WithInitialWindowSize(1<<16), grpc.WithSharedWriteBuffer(true),
			grpc.WithContextDialer(func(ctx context.Context, to string) (net.Conn, error) {
				return s.zone.Machine.DialContext(ctx, "tcp", to)
			}))
		check(s.b, err)
		p := swarm.Guest(conn, fmt.Sprintf("sidecar~%s~p%d.bench~bench.svc.cluster.local", addressOf(i), i))
		s.proxies = append(s.proxies, p)
		s.group.Go(func() error { s.attach(p); return nil })
	}
	_, err := s.settle()
	check(s.b, err)
}

// attach keeps a proxy on a stream.
func (s *stock) attach(p *swarm.Proxy) {
	for s.ctx.Err() == nil {
		if err := p.Follow(s.ctx, &s.counters, s.seen); err != nil && s.ctx.Err() == nil {
			progress("%s: %v", p.Name, err)
		}
		select {
		case <-s.ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	_ = p.Close()
}

func (s *stock) measure(changes int) (delays []float64) {
	for range changes {
		delays = append(delays, s.time(s.change))
	}
	return delays
}

// time makes a change that carries a marker, and returns how many milliseconds it takes until all proxies have it.
func (s *stock) time(change func(marker string) error) float64 {
	marker++
	text := fmt.Sprintf("bench-%06d", marker)
	done, before, began := s.arm(s.proxies, text, swarm.Routes), s.count(), time.Now()
	check(s.b, change(text))
	a, err := s.await(done, before)
	check(s.b, err)
	return float64(a.Last-began.UnixNano()) / 1e6
}

var stockRoutes = schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "virtualservices"}

const stockRoute = `{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: svc-00, namespace: bench}, spec: {hosts: [svc-00],
  http: [{headers: {response: {set: {x-bench: MARKER}}}, route: [{destination: {host: svc-00, port: {number: 8080}}}]}]}}`

// change does to istiod's API server what [world.change] does to the hub.
func (s *stock) change(marker string) error {
	force := true
	_, err := s.zone.Dynamic.Resource(stockRoutes).Namespace("bench").Patch(s.ctx, "svc-00", types.ApplyPatchType,
		[]byte(strings.ReplaceAll(stockRoute, "MARKER", marker)), metav1.PatchOptions{FieldManager: fieldName, Force: &force})
	return err
}

func (s *stock) residentMB(processes ...*meshtest.Process) (sum float64) {
	for _, p := range processes {
		bytes, err := p.RSS()
		check(s.b, err)
		sum += float64(bytes) / (1 << 20)
	}
	return sum
}
