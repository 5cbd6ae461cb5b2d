package apiserver

import (
	"log/slog"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// Config says where the hub's API lives and who may use it.
type Config struct {
	// DataDir holds everything that must outlive the process: etcd, the API's certificates, the key
	// of the Secrets and the administrator's kubeconfig. It is made if missing, for this user only.
	// The path of a socket in it must fit 107 bytes.
	DataDir string

	// Listen is the address to serve on, "host:port". Port 0 takes a free one; see [Server.Address].
	Listen string

	// Advertise lists further names and IP addresses at which clients reach the API; the certificate
	// is valid for them, for the host of Listen, localhost and the loopback addresses.
	Advertise []string

	// Etcd names an external cluster. Without servers one member runs inside this process.
	Etcd ExternalEtcd

	// Authenticator is asked beside the two built in: client certificates of the API's own authority,
	// and the tokens in DataDir/tokens (lines of SHA-256, user and groups; see tokens.go). Optional.
	Authenticator authenticator.Request

	// Authorizer decides every request. Without one, members of [AdminGroup] may do everything and
	// other users may only ask who they are and what exists.
	Authorizer Authorizer

	// ReadyChecks are asked by /readyz beside the API's own.
	ReadyChecks []ReadyCheck

	// Log receives everything, also what Kubernetes' libraries and etcd say. Required.
	Log *slog.Logger

	// Now is the clock of certificates and views; time.Now if nil.
	Now func() time.Time
}

// ExternalEtcd names an etcd cluster that others run.
type ExternalEtcd struct {
	// Servers are client URLs, "https://host:2379".
	Servers []string
	// CAFile, CertFile and KeyFile are PEM files for TLS towards the servers.
	CAFile, CertFile, KeyFile string
}

// Authorizer decides what a user may do, and can say all a user may do in a namespace
// ("isthmus auth can-i --list").
type Authorizer interface {
	authorizer.Authorizer
	authorizer.RuleResolver
}

// AdminGroup is the group of the administrators; the certificate of the kubeconfig that the hub
// writes is of this group.
const AdminGroup = "isthmus:admins"

// ReadyCheck is a part of readiness that somebody else knows.
type ReadyCheck struct {
	// Name under /readyz/.
	Name string
	// Check returns why the part is not ready, or nil.
	Check func() error
}
