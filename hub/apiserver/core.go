package apiserver

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"
	serverstorage "k8s.io/apiserver/pkg/server/storage"
	"k8s.io/client-go/discovery"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	_ "k8s.io/kubernetes/pkg/apis/admissionregistration/install" // fills legacyscheme, and so on
	_ "k8s.io/kubernetes/pkg/apis/authentication/install"
	_ "k8s.io/kubernetes/pkg/apis/authorization/install"
	_ "k8s.io/kubernetes/pkg/apis/coordination/install"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	_ "k8s.io/kubernetes/pkg/apis/events/install"
	admissionrest "k8s.io/kubernetes/pkg/registry/admissionregistration/rest"
	"k8s.io/kubernetes/pkg/registry/authentication/selfsubjectreview"
	authorizationrest "k8s.io/kubernetes/pkg/registry/authorization/rest"
	leasestorage "k8s.io/kubernetes/pkg/registry/coordination/lease/storage"
	configmapstorage "k8s.io/kubernetes/pkg/registry/core/configmap/storage"
	eventstorage "k8s.io/kubernetes/pkg/registry/core/event/storage"
	namespacestorage "k8s.io/kubernetes/pkg/registry/core/namespace/storage"
	secretstorage "k8s.io/kubernetes/pkg/registry/core/secret/storage"
	serviceaccountstorage "k8s.io/kubernetes/pkg/registry/core/serviceaccount/storage"
)

// eventLife is how long Events are kept, in seconds.
const eventLife = 3600

// coreCodec writes and reads the core kinds in storage.
func coreCodec() runtime.Codec {
	return legacyscheme.Codecs.LegacyCodec(corev1.SchemeGroupVersion, coordinationv1.SchemeGroupVersion, admissionregistrationv1.SchemeGroupVersion)
}

// installCore serves the core kinds with Kubernetes' own storages.
func installCore(s *genericapiserver.GenericAPIServer, store generic.RESTOptionsGetter, access Authorizer, ask discovery.DiscoveryInterface) error {
	core, err := coreStorage(store)
	if err != nil {
		return err
	}
	if err := s.InstallLegacyAPIGroup("/api", groupV1("", core)); err != nil {
		return err
	}
	lease, err := leasestorage.NewREST(store)
	if err != nil {
		return err
	}
	reviews, policies, err := accessGroups(store, access, ask)
	if err != nil {
		return err
	}
	return s.InstallAPIGroups(
		groupV1("coordination.k8s.io", map[string]rest.Storage{"leases": lease}),
		groupV1("events.k8s.io", map[string]rest.Storage{"events": core["events"]}),
		groupV1("authentication.k8s.io", map[string]rest.Storage{"selfsubjectreviews": selfsubjectreview.NewREST()}),
		reviews, policies)
}

func coreStorage(store generic.RESTOptionsGetter) (map[string]rest.Storage, error) {
	namespace, status, finalize, err := namespacestorage.NewREST(store)
	if err != nil {
		return nil, err
	}
	secret, err := secretstorage.NewREST(store)
	if err != nil {
		return nil, err
	}
	configMap, err := configmapstorage.NewREST(store)
	if err != nil {
		return nil, err
	}
	event, err := eventstorage.NewREST(store, eventLife)
	if err != nil {
		return nil, err
	}
	account, err := serviceaccountstorage.NewREST(store, nil, nil, 0, nil, nil, nil, false, 0) // issues no tokens
	return map[string]rest.Storage{
		"namespaces": namespace, "namespaces/status": status, "namespaces/finalize": finalize,
		"secrets": secret, "configmaps": configMap, "events": event, "serviceaccounts": account,
	}, err
}

// groupV1 serves storages as version v1 of a group.
func groupV1(name string, storages map[string]rest.Storage) *genericapiserver.APIGroupInfo {
	info := genericapiserver.NewDefaultAPIGroupInfo(name, legacyscheme.Scheme, legacyscheme.ParameterCodec, legacyscheme.Codecs)
	info.VersionedResourcesStorageMap["v1"] = storages
	return onlyFirst(info)
}

// onlyFirst hides the versions of a group that nothing is served in.
func onlyFirst(info genericapiserver.APIGroupInfo) *genericapiserver.APIGroupInfo {
	info.PrioritizedVersions = info.PrioritizedVersions[:1]
	return &info
}

func accessGroups(store generic.RESTOptionsGetter, access Authorizer, ask discovery.DiscoveryInterface) (reviews, policies *genericapiserver.APIGroupInfo, err error) {
	served := serverstorage.NewResourceConfig()
	served.EnableVersions(admissionregistrationv1.SchemeGroupVersion, authorizationv1.SchemeGroupVersion)
	r, err := authorizationrest.RESTStorageProvider{Authorizer: access, RuleResolver: access}.NewRESTStorage(served, store)
	if err != nil {
		return nil, nil, err
	}
	p, err := admissionrest.RESTStorageProvider{Authorizer: access, DiscoveryClient: ask}.NewRESTStorage(served, store)
	if err != nil {
		return nil, nil, err
	}
	return onlyFirst(r), onlyFirst(p), nil
}
