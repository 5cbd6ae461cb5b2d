package apiserver

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

func TestCertificatesAreRenewedInTime(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	p, err := openPKI(t.TempDir(), func() time.Time { return now })
	check(t, err)
	hosts := []string{"localhost", "hub.example"}
	serial := func() string {
		t.Helper()
		check(t, p.renewServer(hosts))
		c, err := p.load("server.crt")
		check(t, err)
		return c.SerialNumber.String()
	}
	first := serial()
	now = now.Add(certificateLife / 2)
	if serial() != first {
		t.Error("renewed at half its life")
	}
	now = now.Add(certificateLife / 4)
	second := serial()
	if second == first {
		t.Error("not renewed with a quarter of its life left")
	}
	hosts = append(hosts, "10.0.0.7")
	if serial() == second {
		t.Error("not renewed for another host")
	}
}

func TestAuthoritySurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	first, err := openPKI(dir, time.Now)
	check(t, err)
	again, err := openPKI(dir, time.Now)
	check(t, err)
	if !first.ca.Equal(again.ca) {
		t.Error("another authority")
	}
	check(t, os.WriteFile(first.path("ca.crt"), []byte("rubbish"), 0o600))
	if _, err := openPKI(dir, time.Now); err == nil || !contains(err.Error(), "restore it from a backup") {
		t.Errorf("with a broken certificate: %v", err)
	}
}

// The hub changes only its own entries of the kubeconfig, and only when it must.
func TestKubeconfigKeepsWhatOthersWrote(t *testing.T) {
	now := time.Now()
	p, err := openPKI(t.TempDir(), func() time.Time { return now })
	check(t, err)
	path := filepath.Join(t.TempDir(), "config")
	check(t, p.writeKubeconfig(path, "https://127.0.0.1:1"))
	config, err := clientcmd.LoadFromFile(path)
	check(t, err)
	config.Contexts[kubeconfigName].Namespace = "shop"
	check(t, clientcmd.WriteToFile(*config, path))
	certificate := func(server string) string {
		t.Helper()
		check(t, p.writeKubeconfig(path, server))
		c, err := clientcmd.LoadFromFile(path)
		check(t, err)
		if c.Contexts[kubeconfigName].Namespace != "shop" || c.Clusters[kubeconfigName].Server != server {
			t.Errorf("namespace %q, server %q", c.Contexts[kubeconfigName].Namespace, c.Clusters[kubeconfigName].Server)
		}
		return string(c.AuthInfos[kubeconfigUser].ClientCertificateData)
	}
	first := certificate("https://127.0.0.1:1")
	if certificate("https://127.0.0.1:2") == first {
		t.Error("nothing was written for another server")
	}
	second := certificate("https://127.0.0.1:2")
	if certificate("https://127.0.0.1:2") != second {
		t.Error("written again without need")
	}
	now = now.Add(certificateLife * 3 / 4)
	if certificate("https://127.0.0.1:2") == second {
		t.Error("not renewed")
	}
}
