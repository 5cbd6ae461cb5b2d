package apiserver

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kubeversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"
)

// oneCache has the API server keep our custom resources in memory once, in the version that clients prefer, instead of
// once for each version served. Whoever asks for another version is answered from etcd.
type oneCache struct {
	generic.RESTOptionsGetter
	preferred map[schema.GroupResource]string // version
}

func newOneCache(getter generic.RESTOptionsGetter, definitions []*apiextensionsv1.CustomResourceDefinition) oneCache {
	c := oneCache{getter, map[schema.GroupResource]string{}}
	for _, d := range definitions {
		c.preferred[schema.GroupResource{Group: d.Spec.Group, Resource: d.Spec.Names.Plural}] = preferredVersion(d)
	}
	return c
}

// preferredVersion is the served version that discovery names first.
func preferredVersion(d *apiextensionsv1.CustomResourceDefinition) string {
	preferred := ""
	for _, v := range d.Spec.Versions {
		if v.Served && (preferred == "" || kubeversion.CompareKubeAwareVersionStrings(v.Name, preferred) > 0) {
			preferred = v.Name
		}
	}
	return preferred
}

// GetRESTOptions implements [generic.RESTOptionsGetter].
func (c oneCache) GetRESTOptions(resource schema.GroupResource, example runtime.Object) (generic.RESTOptions, error) {
	options, err := c.RESTOptionsGetter.GetRESTOptions(resource, example)
	if preferred, ours := c.preferred[resource]; ours && err == nil {
		options.Decorator = cachedIn(preferred, options.Decorator)
	}
	return options, err
}

// cachedIn leaves the cache out unless a storage is of the version.
func cachedIn(version string, cached generic.StorageDecorator) generic.StorageDecorator {
	return func(
		config *storagebackend.ConfigForResource, prefix string, key func(runtime.Object) (string, error), make, makeList func() runtime.Object,
		attributes storage.AttrFunc, triggers storage.IndexerFuncs, indexers *cache.Indexers,
	) (storage.Interface, factory.DestroyFunc, error) {
		build := cached
		if make().GetObjectKind().GroupVersionKind().Version != version {
			build = generic.UndecoratedStorage
		}
		return build(config, prefix, key, make, makeList, attributes, triggers, indexers)
	}
}
