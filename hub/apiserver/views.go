package apiserver

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/duration"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"

	view "github.com/isthmus-mesh/isthmus/api/view/v1alpha1"
)

// Views are the kinds of view.isthmus.dev.
type Views struct {
	Workloads *View[*view.Workload]
	Proxies   *View[*view.Proxy]
	Services  *View[*view.DiscoveredService]
	Revisions *View[*view.Revision]
}

// viewKind is what makes a kind of view differ from another one.
type viewKind struct {
	kind, plural, singular, short string
	namespaced                    bool
	columns                       []metav1.TableColumnDefinition
	cells                         func(o runtime.Object, now time.Time) []any
}

func (k viewKind) gvk() schema.GroupVersionKind { return view.GroupVersion.WithKind(k.kind) }
func (k viewKind) resource() schema.GroupVersionResource {
	return view.GroupVersion.WithResource(k.plural)
}

// columns reads "NAME", "NAME:integer"; a name in parentheses shows with -o wide only.
func columns(specs ...string) []metav1.TableColumnDefinition {
	var all []metav1.TableColumnDefinition
	for _, spec := range specs {
		c := metav1.TableColumnDefinition{Type: "string"}
		if strings.HasPrefix(spec, "(") {
			c.Priority, spec = 1, strings.Trim(spec, "()")
		}
		if name, kind, typed := strings.Cut(spec, ":"); typed {
			spec, c.Type = name, kind
		}
		if spec == "Name" {
			c.Format = "name"
		}
		c.Name = spec
		all = append(all, c)
	}
	return all
}

func newViews(now func() time.Time) Views {
	return Views{
		Workloads: newView(workloadKind, now, func() *view.Workload { return &view.Workload{} }, func() runtime.Object { return &view.WorkloadList{} }),
		Proxies:   newView(proxyKind, now, func() *view.Proxy { return &view.Proxy{} }, func() runtime.Object { return &view.ProxyList{} }),
		Services:  newView(serviceKind, now, func() *view.DiscoveredService { return &view.DiscoveredService{} }, func() runtime.Object { return &view.DiscoveredServiceList{} }),
		Revisions: newView(revisionKind, now, func() *view.Revision { return &view.Revision{} }, func() runtime.Object { return &view.RevisionList{} }),
	}
}

var workloadKind = viewKind{"Workload", "workloads", "workload", "wl", true,
	columns("Name", "Service", "Version", "Zone", "Health", "Connected", "Age", "(Host)", "(Addresses)", "(Ports)", "(Reason)"),
	func(o runtime.Object, now time.Time) []any {
		w := o.(*view.Workload)
		return []any{w.Name, w.Spec.Service, w.Spec.Version, w.Spec.Zone, w.Status.Health, yesNo(w.Status.Connected), age(w, now),
			w.Spec.Host, strings.Join(w.Spec.Addresses, ","), ports(w.Spec.Ports), w.Status.Reason}
	}}

var proxyKind = viewKind{"Proxy", "proxies", "proxy", "px", true,
	columns("Name", "Service", "Role", "Zone", "Connected", "Revision:integer", "Rejections:integer", "Age", "(Version)", "(Rejected)"),
	func(o runtime.Object, now time.Time) []any {
		p := o.(*view.Proxy)
		return []any{p.Name, p.Spec.Service, p.Spec.Role, p.Spec.Zone, yesNo(p.Status.Connected), p.Status.Revision, int64(len(p.Status.Rejections)), age(p, now),
			p.Spec.Version, rejected(p.Status.Rejections)}
	}}

var serviceKind = viewKind{"DiscoveredService", "discoveredservices", "discoveredservice", "dsvc", true,
	columns("Name", "Ports", "Versions", "Zones", "Healthy", "Age", "(Hosts)"),
	func(o runtime.Object, now time.Time) []any {
		s := o.(*view.DiscoveredService)
		return []any{s.Name, ports(s.Spec.Ports), strings.Join(s.Spec.Versions, ","), strings.Join(s.Spec.Zones, ","),
			fmt.Sprintf("%d/%d", s.Status.Healthy, s.Status.Workloads), age(s, now), strings.Join(s.Spec.Hosts, ",")}
	}}

var revisionKind = viewKind{"Revision", "revisions", "revision", "rev", false,
	columns("Name", "Zone", "Revision:integer", "Edge:integer", "Current", "Age"),
	func(o runtime.Object, now time.Time) []any {
		r := o.(*view.Revision)
		return []any{r.Name, r.Spec.Zone, r.Spec.Revision, r.Status.Edge, fmt.Sprintf("%d/%d", r.Status.Current, r.Status.Proxies), age(r, now)}
	}}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

func age(o metav1.Object, now time.Time) string {
	return duration.HumanDuration(now.Sub(o.GetCreationTimestamp().Time))
}

func ports(all []view.WorkloadPort) string {
	var texts []string
	for _, p := range all {
		texts = append(texts, fmt.Sprintf("%d/%s", p.Port, p.Protocol))
	}
	return strings.Join(texts, ",")
}

func rejected(all []view.Rejection) string {
	var objects []string
	for _, r := range all {
		objects = append(objects, r.Object)
	}
	return strings.Join(objects, ",")
}

// viewScheme knows the views. The Go types are their own internal version, so nothing is converted.
var viewScheme = func() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(view.AddToScheme(s))
	s.AddKnownTypes(schema.GroupVersion{Group: view.GroupVersion.Group, Version: runtime.APIVersionInternal},
		&view.Workload{}, &view.WorkloadList{}, &view.Proxy{}, &view.ProxyList{},
		&view.DiscoveredService{}, &view.DiscoveredServiceList{}, &view.Revision{}, &view.RevisionList{})
	v1 := schema.GroupVersion{Version: "v1"}
	metav1.AddToGroupVersion(s, v1)
	s.AddUnversionedTypes(v1, &metav1.Status{}, &metav1.APIVersions{}, &metav1.APIGroupList{}, &metav1.APIGroup{}, &metav1.APIResourceList{})
	utilruntime.Must(s.SetVersionPriority(view.GroupVersion))
	return s
}()

// installViews serves the views.
func installViews(s *genericapiserver.GenericAPIServer, v *Views) error {
	info := genericapiserver.NewDefaultAPIGroupInfo(view.GroupVersion.Group, viewScheme, runtime.NewParameterCodec(viewScheme), serializer.NewCodecFactory(viewScheme))
	storages := map[string]rest.Storage{}
	for plural, storage := range map[string]served{
		workloadKind.plural: viewStorage[*view.Workload]{v.Workloads},
		proxyKind.plural:    viewStorage[*view.Proxy]{v.Proxies},
		serviceKind.plural:  viewStorage[*view.DiscoveredService]{v.Services},
		revisionKind.plural: viewStorage[*view.Revision]{v.Revisions},
	} {
		storages[plural] = storage
	}
	info.VersionedResourcesStorageMap[view.GroupVersion.Version] = storages
	return s.InstallAPIGroup(&info)
}
