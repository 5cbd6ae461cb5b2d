package apiserver

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	noopoteltrace "go.opentelemetry.io/otel/trace/noop"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdserver "k8s.io/apiextensions-apiserver/pkg/apiserver"
	crdoptions "k8s.io/apiextensions-apiserver/pkg/cmd/server/options"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apimachineryversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/registry/generic"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/pkg/server/options"
	"k8s.io/apiserver/pkg/util/compatibility"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/informers"
	basecompatibility "k8s.io/component-base/compatibility"
)

// Prefix is where in etcd everything of the hub lies: Prefix/GROUP/RESOURCE/NAMESPACE/NAME. It never
// changes: what is stored could not be found again.
const Prefix = "/isthmus.dev"

// coreGroup stands for the core group, whose name is empty, below Prefix.
const coreGroup = "core"

// Limits of requests.
const (
	// maxRequestBytes is the size of a request's body; above, it is refused with 413.
	maxRequestBytes = 3 << 19 // 1.5 MiB
	// maxStoredBytes is the size of an object in etcd. Field ownership may double what a request held.
	maxStoredBytes = 3 << 20
	// requestTimeout ends every request that is no watch.
	requestTimeout = 10 * time.Second
	// watchGrace is how long watches live on after the end was asked for.
	watchGrace = 2 * time.Second
)

// parts is what a server is built from.
type parts struct {
	config   Config
	files    files
	pki      *pki
	etcd     *etcd
	listener net.Listener
}

// serverOptions are the options of the custom resource server, with what we do ourselves left out.
func serverOptions(p parts) (*crdoptions.CustomResourceDefinitionsServerOptions, error) {
	o := crdoptions.NewCustomResourceDefinitionsServerOptions(io.Discard, io.Discard)
	o.ServerRunOptions.ShutdownWatchTerminationGracePeriod = watchGrace
	o.ServerRunOptions.MaxRequestBodyBytes = maxRequestBytes
	o.ServerRunOptions.RequestTimeout = requestTimeout
	r := o.RecommendedOptions
	r.Authentication, r.Authorization, r.CoreAPI, r.Admission = nil, nil, nil, nil
	r.Features.EnablePriorityAndFairness = false
	r.SecureServing.Listener = p.listener
	r.SecureServing.ServerCert.CertKey.CertFile = p.pki.path("server.crt")
	r.SecureServing.ServerCert.CertKey.KeyFile = p.pki.path("server.key")
	r.Etcd.StorageConfig.Prefix = Prefix
	r.Etcd.StorageConfig.Transport = p.etcd.transport
	r.Etcd.EncryptionProviderConfigFilepath = p.files.encryption
	r.Etcd.EnableGarbageCollection = false // ownerReferences are refused; see admission.go
	r.Etcd.SkipHealthEndpoints = true      // they fail /livez without quorum, and supervisors kill the survivor
	return o, o.Complete()
}

// serverConfig applies the options.
func serverConfig(p parts, o *crdoptions.CustomResourceDefinitionsServerOptions) (*genericapiserver.RecommendedConfig, error) {
	c := genericapiserver.NewRecommendedConfig(crdserver.Codecs)
	if err := o.ServerRunOptions.ApplyTo(&c.Config); err != nil {
		return nil, err
	}
	if err := o.RecommendedOptions.Etcd.ApplyTo(&c.Config); err != nil {
		return nil, err
	}
	if err := o.RecommendedOptions.SecureServing.ApplyTo(&c.SecureServing, &c.LoopbackClientConfig); err != nil {
		return nil, err
	}
	if err := o.APIEnablement.ApplyTo(&c.Config, crdserver.DefaultAPIResourceConfigSource(), crdserver.Scheme); err != nil {
		return nil, err
	}
	c.LoopbackClientConfig.QPS = -1 // the hub does not slow itself
	c.EffectiveVersion = version{c.EffectiveVersion}
	c.EnableMetrics = false // ours: metrics.go
	describe(c)
	return c, setAccess(p, c)
}

// setAccess says who may do what, and refuses at once what cannot be done.
func setAccess(p parts, c *genericapiserver.RecommendedConfig) error {
	ca, err := dynamiccertificates.NewStaticCAContent("isthmus-api", p.pki.caPEM())
	if err != nil {
		return err
	}
	c.SecureServing.ClientCA = ca
	c.Authentication.Authenticator = authenticators(p.config, &tokenFile{path: p.files.tokens, log: p.config.Log}, ca)
	access := guard{adminsOnly{}}
	if p.config.Authorizer != nil {
		access = guard{p.config.Authorizer}
	}
	c.Authorization.Authorizer, c.RuleResolver = access, access
	build := c.BuildHandlerChainFunc
	c.BuildHandlerChainFunc = func(h http.Handler, c *genericapiserver.Config) http.Handler {
		return requireQuorum(p.etcd.hasQuorum, build(h, c))
	}
	return nil
}

// setAdmission puts ours before Kubernetes' own: namespace lifecycle, admission policies and webhooks.
func setAdmission(c *genericapiserver.RecommendedConfig, clients *clients, ours *admitter) error {
	c.SharedInformerFactory = informers.NewSharedInformerFactory(clients.typed, 0)
	effective := compatibility.DefaultComponentGlobalsRegistry.EffectiveVersionFor(basecompatibility.DefaultKubeComponent)
	err := options.NewAdmissionOptions().ApplyTo(&c.Config, c.SharedInformerFactory, clients.typed, clients.dynamic, utilfeature.DefaultFeatureGate, effective)
	if err != nil {
		return err
	}
	ours.namespaces = c.SharedInformerFactory.Core().V1().Namespaces().Lister()
	c.AdmissionControl = admission.NewChainHandler(ours, c.AdmissionControl)
	return nil
}

// newServer makes the server of custom resources, which also serves our other groups.
func newServer(c *genericapiserver.RecommendedConfig, o *options.EtcdOptions, definitions []*apiextensionsv1.CustomResourceDefinition) (*crdserver.CustomResourceDefinitions, error) {
	config := &crdserver.Config{GenericConfig: c, ExtraConfig: crdserver.ExtraConfig{
		CRDRESTOptionsGetter: newOneCache(crdoptions.NewCRDRESTOptionsGetter(*o, c.ResourceTransformers, c.StorageObjectCountTracker), definitions),
		ServiceResolver:      noServices{},
		AuthResolverWrapper:  webhook.NewDefaultAuthenticationInfoResolverWrapper(nil, nil, c.LoopbackClientConfig, noopoteltrace.NewTracerProvider()),
	}}
	return config.Complete().New(genericapiserver.NewEmptyDelegate())
}

// coreStore is the same storage with the codec of the core kinds.
func coreStore(c *genericapiserver.RecommendedConfig, o options.EtcdOptions) generic.RESTOptionsGetter {
	o.StorageConfig.Codec = coreCodec()
	o.StorageConfig.StorageObjectCountTracker = c.StorageObjectCountTracker
	factory := &storageFactory{options.SimpleStorageFactory{StorageConfig: o.StorageConfig}}
	return o.CreateRESTOptionsGetter(factory, c.ResourceTransformers)
}

// storageFactory names the core group's place.
type storageFactory struct{ options.SimpleStorageFactory }

func (f *storageFactory) ResourcePrefix(resource schema.GroupResource) string {
	if resource.Group == "" {
		resource.Group = coreGroup
	}
	return f.SimpleStorageFactory.ResourcePrefix(resource)
}

// noServices refuses webhooks that name a cluster's service; those with a URL work.
type noServices struct{}

func (noServices) ResolveEndpoint(namespace, name string, _ int32) (*url.URL, error) {
	return nil, fmt.Errorf("service %s/%s: the hub knows no Kubernetes services, give the webhook a url", namespace, name)
}

// version is what the hub tells kubectl, which compares it with its own: that of the API it speaks.
type version struct {
	basecompatibility.EffectiveVersion
}

func (v version) Info() *apimachineryversion.Info {
	info := *v.EffectiveVersion.Info()
	info.Major, info.Minor = "1", "36"
	info.GitVersion = "v1.36.1+isthmus" // of k8s.io/kubernetes in go.mod
	return &info
}
