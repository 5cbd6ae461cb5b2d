package dns

import (
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// ResolvConf returns the resolvers of a resolv.conf file, read again whenever the file changes. The
// server's own addresses are left out, so that no question comes back.
func ResolvConf(path string, own ...string) func() []string {
	var mu sync.Mutex
	var read time.Time
	var resolvers []string
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		info, err := os.Stat(path)
		if err != nil || info.ModTime().Equal(read) {
			return resolvers
		}
		config, err := dns.ClientConfigFromFile(path)
		if err != nil {
			return resolvers
		}
		read, resolvers = info.ModTime(), nil
		for _, server := range config.Servers {
			if address := net.JoinHostPort(server, config.Port); !slices.Contains(own, address) {
				resolvers = append(resolvers, address)
			}
		}
		return resolvers
	}
}
