package apiserver

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/isthmus-mesh/isthmus/durable"
	"github.com/isthmus-mesh/isthmus/identity"
)

// Names of the entries that the hub keeps in the administrator's kubeconfig.
const (
	kubeconfigName = "isthmus"
	kubeconfigUser = "isthmus-admin"
)

// writeKubeconfig makes sure that the kubeconfig at path leads an administrator to server. What
// somebody else wrote into the file, a namespace or another context, stays.
func (p *pki) writeKubeconfig(path, server string) error {
	config, err := clientcmd.LoadFromFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		config, err = clientcmdapi.NewConfig(), nil
	}
	if err != nil {
		return fmt.Errorf("%s cannot be read: remove it, and it is made anew (%w)", path, err)
	}
	if p.kubeconfigGood(config, server) {
		return nil
	}
	if err := p.fill(config, server); err != nil {
		return err
	}
	text, err := clientcmd.Write(*config)
	if err != nil {
		return err
	}
	return durable.WriteFile(path, text)
}

func (p *pki) kubeconfigGood(config *clientcmdapi.Config, server string) bool {
	cluster, user := config.Clusters[kubeconfigName], config.AuthInfos[kubeconfigUser]
	if cluster == nil || user == nil || config.Contexts[kubeconfigName] == nil ||
		cluster.Server != server || !bytes.Equal(cluster.CertificateAuthorityData, p.caPEM()) {
		return false
	}
	chain, err := identity.DecodeCertificates(user.ClientCertificateData)
	return err == nil && len(chain) > 0 && p.fresh(chain[0])
}

func (p *pki) fill(config *clientcmdapi.Config, server string) error {
	certificate, key, err := p.client(kubeconfigUser, AdminGroup)
	if err != nil {
		return err
	}
	config.Clusters[kubeconfigName] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: p.caPEM()}
	config.AuthInfos[kubeconfigUser] = &clientcmdapi.AuthInfo{ClientCertificateData: certificate, ClientKeyData: key}
	if config.Contexts[kubeconfigName] == nil {
		config.Contexts[kubeconfigName] = &clientcmdapi.Context{Cluster: kubeconfigName, AuthInfo: kubeconfigUser}
	}
	if config.CurrentContext == "" {
		config.CurrentContext = kubeconfigName
	}
	return nil
}
