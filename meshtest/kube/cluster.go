package kube

import (
	"context"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/isthmus-mesh/isthmus/meshtest"
	upstream "github.com/isthmus-mesh/isthmus/tools/kubernetes"
)

// Cluster is a running cluster.
type Cluster struct {
	// Etcd, API and Controllers are its processes, which a test may kill, pause and start again.
	Etcd, API, Controllers *meshtest.Process
	// Kubeconfig is the file of a cluster administrator.
	Kubeconfig string
	// REST is the same; it reaches the API server from the test.
	REST *rest.Config
	// Core and Dynamic are clients of an administrator.
	Core    kubernetes.Interface
	Dynamic dynamic.Interface

	t        testing.TB
	dir, ip  string
	programs upstream.Programs
	command  func(argv []string) *exec.Cmd
}

var started atomic.Int32 // by this process

// Start runs a cluster on a loopback address of its own, without Istio and without a kubelet.
func Start(t testing.TB) *Cluster {
	t.Helper()
	ip := fmt.Sprintf("127.%d.%d.%d", 1+os.Getpid()/200%250, 1+os.Getpid()%200, started.Add(1))
	c := &Cluster{t: t, dir: t.TempDir(), ip: ip, command: func(argv []string) *exec.Cmd {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		return cmd
	}}
	c.start(nil)
	return c
}

// start runs everything; dial is how the test reaches the cluster, nil for directly.
func (c *Cluster) start(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	c.t.Helper()
	var err error
	if c.programs, err = upstream.Build(c.t.Context(), os.Stderr); err != nil {
		c.t.Fatal(err)
	}
	ca := newAuthority(c.t, c.dir)
	ca.tokenKey()
	ca.issue("apiserver", pkix.Name{CommonName: "kube-apiserver"}, c.ip)
	ca.issue("admin", pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}})
	c.Kubeconfig = c.kubeconfig("admin", &api.AuthInfo{ClientCertificate: c.file("admin.crt"), ClientKey: c.file("admin.key")})
	c.REST, err = clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err == nil {
		err = rest.LoadTLSFiles(c.REST) // else client-go looks for the files as long as the process lives
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.REST.Dial, c.REST.QPS, c.REST.Burst = dial, 1000, 2000
	c.Core, c.Dynamic = kubernetes.NewForConfigOrDie(c.REST), dynamic.NewForConfigOrDie(c.REST)
	c.Etcd = c.run("etcd", c.etcd)
	c.API = c.run("kube-apiserver", c.apiserver)
	c.t.Cleanup(c.StopAPI)
	c.WaitReady()
	c.Controllers = c.run("kube-controller-manager", c.controllers)
	c.t.Cleanup(c.Controllers.Kill) // it has nothing to finish, and takes more than 30 s to end by itself
}

// run starts a program; programs stop in the opposite order.
func (c *Cluster) run(name string, argv func() []string) *meshtest.Process {
	c.t.Helper()
	p := meshtest.NewProcess(c.t, c.dir, name, func() *exec.Cmd { return c.command(argv()) })
	p.Start()
	return p
}

func (c *Cluster) file(name string) string { return filepath.Join(c.dir, name) }

// stopPatience is for an API server that ends by itself, in two or three seconds mostly.
const stopPatience = 5 * time.Second

// StopAPI asks the API server to end and kills it if it does not: one that was started moments before sometimes waits
// for what never comes.
func (c *Cluster) StopAPI() {
	c.API.Signal(syscall.SIGTERM)
	c.API.Resume()
	late := time.AfterFunc(stopPatience, c.API.Kill)
	defer late.Stop()
	c.API.Wait()
}

// WaitReady waits until the API server answers.
func (c *Cluster) WaitReady() {
	c.t.Helper()
	meshtest.Eventually(c.t, "the API server is ready", func() error {
		c.API.MustRun()
		_, err := c.Core.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(c.t.Context())
		return err
	})
}

func (c *Cluster) etcd() []string {
	client, peer := "http://"+c.ip+":2379", "http://"+c.ip+":2380"
	return []string{c.programs.Etcd, "--data-dir=" + c.file("etcd"), "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=default=" + peer}
}

const issuer = "https://kubernetes.default.svc"

func (c *Cluster) apiserver() []string {
	return []string{c.programs.Kube, "--etcd-servers=http://" + c.ip + ":2379", "--bind-address=" + c.ip, "--advertise-address=" + c.ip,
		"--secure-port=6443", "--tls-cert-file=" + c.file("apiserver.crt"), "--tls-private-key-file=" + c.file("apiserver.key"),
		"--client-ca-file=" + c.file("ca.crt"), "--service-account-key-file=" + c.file("sa.key"),
		"--service-account-signing-key-file=" + c.file("sa.key"), "--service-account-issuer=" + issuer,
		"--api-audiences=" + issuer + ",istio-ca", "--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=RBAC",
		"--disable-admission-plugins=ServiceAccount", "--allow-privileged=true", "--endpoint-reconciler-type=none",
		"--profiling=false", "--shutdown-delay-duration=0s"}
}

// theControllers are those that tests need.
var theControllers = []string{"endpointslice-controller", "namespace-controller", "garbage-collector-controller", "serviceaccount-controller",
	"root-ca-certificate-publisher-controller", "deployment-controller", "replicaset-controller", "statefulset-controller",
	"persistentvolumeclaim-protection-controller"}

func (c *Cluster) controllers() []string {
	name := c.file("kube-controller-manager")
	if err := os.Symlink(c.programs.Kube, name); err != nil && !os.IsExist(err) {
		c.t.Fatal(err)
	}
	return []string{name, "--kubeconfig=" + c.Kubeconfig, "--leader-elect=false", "--bind-address=" + c.ip, "--secure-port=10257",
		"--cert-dir=" + c.file("controllers"), "--controllers=" + strings.Join(theControllers, ","), "--use-service-account-credentials=false",
		"--service-account-private-key-file=" + c.file("sa.key"), "--root-ca-file=" + c.file("ca.crt"),
		"--kube-api-qps=500", "--kube-api-burst=1000"}
}

// kubeconfig writes a kubeconfig file and returns its path.
func (c *Cluster) kubeconfig(name string, who *api.AuthInfo) string {
	c.t.Helper()
	config := api.NewConfig()
	config.Clusters["cluster"] = &api.Cluster{Server: "https://" + net.JoinHostPort(c.ip, "6443"), CertificateAuthority: c.file("ca.crt")}
	config.AuthInfos["user"] = who
	config.Contexts["context"] = &api.Context{Cluster: "cluster", AuthInfo: "user"}
	config.CurrentContext = "context"
	path := c.file(name + ".kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		c.t.Fatal(err)
	}
	return path
}
