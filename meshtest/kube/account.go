package kube

import (
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd/api"
)

// KubeconfigOf returns the kubeconfig file of a service account that exists: what runs with it has exactly
// the rights of that account.
func (c *Cluster) KubeconfigOf(namespace, account string) string {
	c.t.Helper()
	day := int64(24 * 3600)
	token, err := c.Core.CoreV1().ServiceAccounts(namespace).CreateToken(c.t.Context(), account,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &day}}, metav1.CreateOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	return c.kubeconfig(namespace+"-"+account, &api.AuthInfo{Token: token.Status.Token})
}
