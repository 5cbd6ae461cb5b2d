package compiler

import (
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
)

// reference is from what kind of object in which namespace to what a reference leads.
type reference struct {
	fromKind, fromNamespace string
	toKind, toName          string
}

// permission is a set of references that ReferenceGrants of one namespace allow.
type permission []reference

// grants computes unitGrants.
func grants(w *work) any {
	var all permission
	for m := range w.members() {
		spec := m.(*gatewayv1.ReferenceGrant).Spec
		for _, from := range spec.From {
			for _, to := range spec.To {
				if grantable(string(from.Group), string(from.Kind)) && grantable(string(to.Group), string(to.Kind)) {
					all = append(all, allowed(from, to))
				}
			}
		}
	}
	if all == nil {
		return nil
	}
	return all
}

func allowed(from gatewayv1.ReferenceGrantFrom, to gatewayv1.ReferenceGrantTo) reference {
	r := reference{fromKind: string(from.Kind), fromNamespace: string(from.Namespace), toKind: string(to.Kind)}
	if to.Name != nil {
		r.toName = string(*to.Name)
	}
	return r
}

// grantable says whether a group and kind can be at an end of a reference. A Service may be of the
// core group, as everywhere in the Gateway API, or of ours.
func grantable(group, kind string) bool {
	switch kind {
	case kindService:
		return group == "" || group == v1alpha1.GroupVersion.Group
	case kindSubset:
		return group == v1alpha1.GroupVersion.Group
	case kindSecret, kindConfigMap:
		return group == ""
	}
	return group == gatewayv1.GroupName
}

// permits says whether a reference from one namespace into another is granted.
func permits(w *work, ref reference, namespace string) bool {
	for _, granted := range value[permission](w, key{unit: unitGrants, namespace: namespace}) {
		if granted.fromKind == ref.fromKind && granted.fromNamespace == ref.fromNamespace &&
			granted.toKind == ref.toKind && (granted.toName == "" || granted.toName == ref.toName) {
			return true
		}
	}
	return false
}
