package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of every view.
var GroupVersion = schema.GroupVersion{Group: "view.isthmus.dev", Version: "v1alpha1"}

// AddToScheme registers the views with a scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&Workload{}, &WorkloadList{},
		&Proxy{}, &ProxyList{},
		&DiscoveredService{}, &DiscoveredServiceList{},
		&Revision{}, &RevisionList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
