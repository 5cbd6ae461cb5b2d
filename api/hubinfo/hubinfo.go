// Package hubinfo is what a hub publishes about itself: the facts that join tokens are made of.
//
// The hub writes them at start as the ConfigMap isthmus-system/hub-info; everybody who may read
// that ConfigMap can make tokens that lead to this hub. Nothing in it is secret.
package hubinfo

import (
	"fmt"
	"strings"
)

// Where the facts stand.
const (
	// Namespace of the ConfigMap.
	Namespace = "isthmus-system"
	// Name of the ConfigMap.
	Name = "hub-info"
)

// Keys of the ConfigMap.
const (
	// FeedAddresses are those edges dial, "host:port", separated by commas.
	FeedAddresses = "feedAddresses"
	// Root is the root certificate of the mesh, PEM; with several, the one that signs comes first.
	Root = "root.pem"
	// TrustDomain of every identity of the mesh.
	TrustDomain = "trustDomain"
)

// Info is the content of the ConfigMap.
type Info struct {
	// FeedAddresses of all hub replicas, "host:port".
	FeedAddresses []string
	// Root is PEM.
	Root string
	// TrustDomain of the mesh.
	TrustDomain string
}

// Data is the ConfigMap's data.
func (i Info) Data() map[string]string {
	return map[string]string{
		FeedAddresses: strings.Join(i.FeedAddresses, ","),
		Root:          i.Root,
		TrustDomain:   i.TrustDomain,
	}
}

// Parse reads the ConfigMap's data. It returns an error that names the key that is missing.
func Parse(data map[string]string) (Info, error) {
	for _, key := range []string{FeedAddresses, Root, TrustDomain} {
		if strings.TrimSpace(data[key]) == "" {
			return Info{}, fmt.Errorf("ConfigMap %s/%s: %s is missing", Namespace, Name, key)
		}
	}
	addresses := strings.Split(data[FeedAddresses], ",")
	for i, a := range addresses {
		addresses[i] = strings.TrimSpace(a)
	}
	return Info{FeedAddresses: addresses, Root: data[Root], TrustDomain: data[TrustDomain]}, nil
}
