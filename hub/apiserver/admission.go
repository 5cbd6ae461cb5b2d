package apiserver

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apiserver/pkg/admission"
	corelisters "k8s.io/client-go/listers/core/v1"

	"github.com/isthmus-mesh/isthmus/api/hubinfo"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
)

// admitter refuses what the hub would not do justice to, in the process and before everything else.
type admitter struct {
	*admission.Handler
	workspaces *workspaces
	namespaces corelisters.NamespaceLister
}

func newAdmitter(w *workspaces) *admitter {
	return &admitter{Handler: admission.NewHandler(admission.Create, admission.Update, admission.Delete), workspaces: w}
}

// Admit makes sure that the namespace of a new object is there if it belongs to a workspace.
func (a *admitter) Admit(ctx context.Context, r admission.Attributes, _ admission.ObjectInterfaces) error {
	if r.GetSubresource() != "" {
		return nil
	}
	return a.ensureNamespace(ctx, r)
}

// anotherObject says that the object of a name is not the one that was meant.
func anotherObject(resource schema.GroupResource, name string, is, meant types.UID) error {
	return apierrors.NewConflict(resource, name, fmt.Errorf("the object has uid %s, not %s: it was deleted and created again", is, meant))
}

// ensureNamespace lets a file hold a Workspace and what lives in it.
func (a *admitter) ensureNamespace(ctx context.Context, r admission.Attributes) error {
	namespace := r.GetNamespace()
	if r.GetOperation() != admission.Create || namespace == "" || r.GetKind().Kind == "Namespace" || r.GetKind().Group == authorizationv1.GroupName {
		return nil
	}
	if _, err := a.namespaces.Get(namespace); err == nil {
		return nil
	}
	return a.workspaces.ensureNamespace(ctx, namespace)
}

// Validate refuses ownerReferences, as no garbage collector runs here, workspaces that cannot have a
// namespace of their name, and the deletion of the definitions of the hub's kinds.
func (a *admitter) Validate(_ context.Context, r admission.Attributes, _ admission.ObjectInterfaces) error {
	if r.GetOperation() == admission.Delete {
		return keepDefinition(r)
	}
	if r.GetOperation() == admission.Create && r.GetKind().GroupKind() == v1alpha1.GroupVersion.WithKind("Workspace").GroupKind() {
		if err := workspaceName(r.GetName()); err != nil {
			return apierrors.NewForbidden(r.GetResource().GroupResource(), r.GetName(), err)
		}
	}
	owners := ownersOf(r.GetObject())
	if len(owners) == 0 || reflect.DeepEqual(owners, ownersOf(r.GetOldObject())) {
		return nil
	}
	return apierrors.NewForbidden(r.GetResource().GroupResource(), r.GetName(), errors.New(
		"metadata.ownerReferences is not supported: the hub does not delete objects with their owner; remove the field"))
}

// keepDefinition refuses to delete a definition together with every object of its kind.
func keepDefinition(r admission.Attributes) error {
	if r.GetResource().GroupResource() != apiextensionsv1.Resource("customresourcedefinitions") || r.GetSubresource() != "" {
		return nil
	}
	plural, group, _ := strings.Cut(r.GetName(), ".")
	if r.GetName() != "" && kindOf[schema.GroupResource{Group: group, Resource: plural}] == nil {
		return nil
	}
	return apierrors.NewForbidden(r.GetResource().GroupResource(), r.GetName(), errors.New(
		"every object of the kind would go with its definition, which belongs to the hub; delete the objects"))
}

func workspaceName(name string) error {
	if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
		return fmt.Errorf("the name of a Workspace is also that of its namespace: %s", strings.Join(problems, ", "))
	}
	if name == hubinfo.Namespace {
		return errors.New("this namespace is the hub's own; choose another name")
	}
	return nil
}

func ownersOf(object runtime.Object) []metav1.OwnerReference {
	if object == nil {
		return nil
	}
	m, err := meta.Accessor(object)
	if err != nil { // a subresource such as Scale, without metadata
		return nil
	}
	return m.GetOwnerReferences()
}
