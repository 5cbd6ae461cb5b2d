package apiserver

import (
	"context"
	"net"
	"slices"
	"time"
)

// renewEvery is how often certificates are looked at.
const renewEvery = 12 * time.Hour

func (s *Server) keepRenewed(ctx context.Context) error {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := s.renew(); err != nil {
				s.log.Error("the certificates of the hub's API cannot be renewed", "err", err)
			}
		}
	}
}

// renew makes the API's certificate and the kubeconfig, or makes them anew when they are near their end.
func (s *Server) renew() error {
	if err := s.pki.renewServer(s.hosts()); err != nil {
		return err
	}
	return s.pki.writeKubeconfig(s.files.kubeconfig, s.url())
}

// hosts are the names and addresses the API's certificate is for.
func (s *Server) hosts() []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if host, ok := s.listenHost(); ok {
		hosts = append(hosts, host)
	}
	hosts = append(hosts, s.config.Advertise...)
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// listenHost is the address clients on other machines may use, if Listen names one.
func (s *Server) listenHost() (string, bool) {
	ip := s.listener.Addr().(*net.TCPAddr).IP
	return ip.String(), !ip.IsUnspecified()
}

// url is where a client on this machine finds the API.
func (s *Server) url() string {
	host, ok := s.listenHost()
	if !ok {
		host = "127.0.0.1"
	}
	_, port, _ := net.SplitHostPort(s.Address()) // comes from a listener
	return "https://" + net.JoinHostPort(host, port)
}
