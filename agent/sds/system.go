package sds

import "os"

// SystemRootsName is the secret with the certificates that the machine trusts by itself, as Istio's configuration
// asks for it: for services outside of the mesh whose authorities nobody named.
const SystemRootsName = "file-root:system"

// SystemRootsFile is the variable of the environment that says where they are, as for other programs.
const SystemRootsFile = "SSL_CERT_FILE"

// systemRootsFiles are where distributions keep them: Debian, Fedora and RHEL, openSUSE, RHEL 7, Alpine.
var systemRootsFiles = []string{
	"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem",
}

// systemRoots are the machine's, PEM; nil when there are none. Envoy then waits for them, which keeps the services
// that need them closed.
func systemRoots() []byte {
	files := systemRootsFiles
	if file := os.Getenv(SystemRootsFile); file != "" {
		files = []string{file}
	}
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && len(text) > 0 {
			return text
		}
	}
	return nil
}
