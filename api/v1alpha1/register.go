package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of every kind in this package.
var GroupVersion = schema.GroupVersion{Group: "isthmus.dev", Version: "v1alpha1"}

// AddToScheme registers every kind of this package with a scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&Tenant{}, &TenantList{},
		&Workspace{}, &WorkspaceList{},
		&Zone{}, &ZoneList{},
		&Service{}, &ServiceList{},
		&Subset{}, &SubsetList{},
		&TrafficPolicy{}, &TrafficPolicyList{},
		&JoinToken{}, &JoinTokenList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
