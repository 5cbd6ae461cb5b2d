package kube

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/isthmus-mesh/isthmus/meshtest"
	"github.com/isthmus-mesh/isthmus/tools/gobuild"
)

// Apply applies objects as "kubectl apply --server-side" does, namespaces first as they stand.
func (c *Cluster) Apply(text string) {
	c.t.Helper()
	for _, object := range c.parse([]byte(text)) {
		meshtest.Eventually(c.t, object.GetKind()+" "+object.GetName()+" is applied", func() error {
			client, err := c.client(object)
			if err != nil {
				return err
			}
			_, err = client.Apply(c.t.Context(), object.GetName(), object, metav1.ApplyOptions{FieldManager: "test", Force: true})
			return err
		})
	}
}

func (c *Cluster) parse(text []byte) []*unstructured.Unstructured {
	c.t.Helper()
	var all []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			c.t.Fatal(err)
		}
		if len(object.Object) > 0 {
			all = append(all, object)
		}
	}
}

func (c *Cluster) client(object *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	groups, err := restmapper.GetAPIGroupResources(c.Core.Discovery())
	if err != nil {
		return nil, err
	}
	gvk := object.GroupVersionKind()
	mapping, err := restmapper.NewDiscoveryRESTMapper(groups).RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		return c.Dynamic.Resource(mapping.Resource).Namespace(object.GetNamespace()), nil
	}
	return c.Dynamic.Resource(mapping.Resource), nil
}

// InstallIstioCRDs installs the definitions of Istio's kinds, as Istio's own chart has them.
func (c *Cluster) InstallIstioCRDs() {
	c.t.Helper()
	source, err := gobuild.Go(c.t.Context(), "list", "-m", "-f={{.Dir}}", "istio.io/istio")
	if err != nil {
		c.t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(source, "manifests/charts/base/files/crd-all.gen.yaml"))
	if err != nil {
		c.t.Fatal(err)
	}
	c.Apply(string(text))
	meshtest.Eventually(c.t, "Istio's kinds are served", func() error {
		_, err := c.Core.Discovery().ServerResourcesForGroupVersion("networking.istio.io/v1")
		return err
	})
}

// KubeconfigFor makes a service account with exactly these rights, and returns the kubeconfig file of one
// who has its token.
func (c *Cluster) KubeconfigFor(namespace, name string, rules []rbacv1.PolicyRule) string {
	c.t.Helper()
	ctx := c.t.Context()
	c.Apply(strings.NewReplacer("NAMESPACE", namespace, "NAME", name).Replace(accountYAML))
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}
	if _, err := c.Core.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		c.t.Fatal(err)
	}
	seconds := int64(24 * 3600)
	token, err := c.Core.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	return c.kubeconfig(name, &api.AuthInfo{Token: token.Status.Token})
}

const accountYAML = `apiVersion: v1
kind: Namespace
metadata: {name: NAMESPACE}
---
apiVersion: v1
kind: ServiceAccount
metadata: {namespace: NAMESPACE, name: NAME}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: NAME}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: NAME}
subjects: [{kind: ServiceAccount, namespace: NAMESPACE, name: NAME}]
`
