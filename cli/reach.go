package cli

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

// errNoHub is the answer when nothing says which hub to ask.
var errNoHub = errors.New(`no hub is configured. Where the hub runs, its kubeconfig is DATA/admin.kubeconfig; ` +
	`name it by --kubeconfig, ISTHMUS_KUBECONFIG or KUBECONFIG`)

// reach is the way to the hub: which one, as whom, and how the last call to it ended. It is a
// RESTClientGetter of kubectl's libraries.
//
// The kubeconfig is, in this order: --kubeconfig, $ISTHMUS_KUBECONFIG, $KUBECONFIG, and that of a
// hub with default settings on this machine. ~/.kube/config is left out on purpose: what stands
// there is mostly a Kubernetes cluster, and no place to try a mesh's commands on.
type reach struct {
	*genericclioptions.ConfigFlags
	environ func(string) string
	agent   string
	// last is the exit code that the last answer, or its absence, stands for.
	last atomic.Int32
}

func newReach(environ func(string) string, agent string) *reach {
	flags := genericclioptions.NewConfigFlags(true).WithDiscoveryBurst(300).WithDiscoveryQPS(50)
	flags.ImpersonateUID, flags.ImpersonateUserExtra = nil, nil
	flags.ClusterName, flags.AuthInfoName, flags.TLSServerName, flags.DisableCompression = nil, nil, nil, nil
	r := &reach{ConfigFlags: flags, environ: environ, agent: agent}
	flags.WithWrapConfigFn(r.observed)
	return r
}

// flagTexts replaces the library's words on how to reach the hub.
var flagTexts = map[string]string{
	"kubeconfig":               "kubeconfig file of the hub; default: $ISTHMUS_KUBECONFIG, $KUBECONFIG, or that of a hub on this machine",
	"context":                  "context of the kubeconfig to use",
	"namespace":                "workspace to work in",
	"server":                   "address of the hub's API, for instance https://hub.example.com:7443",
	"certificate-authority":    "file with the certificates to trust for the hub's API",
	"insecure-skip-tls-verify": "do not check the hub's certificate: whoever is on the way can read and change everything",
	"client-certificate":       "file with your certificate",
	"client-key":               "file with the key of your certificate",
	"token":                    "bearer token to present",
	"as":                       "act as this user",
	"as-group":                 "act as a member of this group; may be repeated",
	"request-timeout":          "end a call to the hub after this time, for instance 10s; 0 means never",
}

func (r *reach) addFlags(flags *pflag.FlagSet) {
	r.AddFlags(flags)
	for name, text := range flagTexts {
		flags.Lookup(name).Usage = text
	}
	_ = flags.MarkHidden("cache-dir") // exists
	*r.CacheDir = filepath.Join(home(r.environ), ".isthmus", "cache")
	*r.KubeConfig = r.defaultKubeconfig() // after AddFlags, so that the help is the same everywhere
}

func (r *reach) defaultKubeconfig() string {
	if own := r.environ("ISTHMUS_KUBECONFIG"); own != "" || r.environ("KUBECONFIG") != "" {
		return own
	}
	local := filepath.Join(home(r.environ), ".isthmus", "hub", "admin.kubeconfig")
	if _, err := os.Stat(local); err != nil {
		return ""
	}
	return local
}

func home(environ func(string) string) string { return environ("HOME") }

// known returns errNoHub when nothing says which hub to ask.
func (r *reach) known() error {
	if *r.KubeConfig == "" && *r.APIServer == "" && r.environ("KUBECONFIG") == "" {
		r.last.Store(ExitUnreachable)
		return errNoHub
	}
	return nil
}

// ToRESTConfig returns how to call the hub, or errNoHub.
func (r *reach) ToRESTConfig() (*rest.Config, error) {
	if err := r.known(); err != nil {
		return nil, err
	}
	return r.ConfigFlags.ToRESTConfig()
}

// ToDiscoveryClient returns a client for the kinds the hub serves, or errNoHub.
func (r *reach) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	if err := r.known(); err != nil {
		return nil, err
	}
	return r.ConfigFlags.ToDiscoveryClient()
}

// ToRESTMapper returns the kinds the hub serves, or errNoHub.
func (r *reach) ToRESTMapper() (meta.RESTMapper, error) {
	if err := r.known(); err != nil {
		return nil, err
	}
	return r.ConfigFlags.ToRESTMapper()
}

// observed makes every call to the hub leave its outcome in r.last.
func (r *reach) observed(config *rest.Config) *rest.Config {
	config.UserAgent = r.agent
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(request *http.Request) (*http.Response, error) {
			response, err := next.RoundTrip(request)
			if request.Context().Err() == nil { // a call its own caller ended says nothing about the hub
				r.last.Store(int32(outcome(response, err)))
			}
			return response, err
		})
	})
	return config
}

type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// outcome is the exit code that a call stands for.
func outcome(response *http.Response, err error) int {
	switch {
	case err != nil:
		return ExitUnreachable
	case response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden:
		return ExitDenied
	}
	return ExitOK
}

// exitCode is the code of a failure: that of its last call to the hub, else the one given.
func (r *reach) exitCode(otherwise int) int {
	if last := int(r.last.Load()); last != ExitOK && otherwise != ExitOK {
		return last
	}
	return otherwise
}
