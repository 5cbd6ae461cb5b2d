package relay

import (
	"fmt"
	"net/netip"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/isthmus-mesh/isthmus/machine/xds"
)

// nameTableType is Istio's name table
// (https://github.com/istio/istio/blob/master/pkg/dns/proto/nds.proto), which the relay subscribes to itself.
const nameTableType = "type.googleapis.com/istio.networking.nds.v1.NameTable"

// nameTable reads the table a resource holds.
func nameTable(r *xds.Resource) (map[string][]netip.Addr, error) {
	body, err := r.Body()
	if err != nil {
		return nil, err
	}
	return decodeNameTable(body.Value)
}

// decodeNameTable reads message NameTable { map<string, NameInfo> table = 1; } by hand, to keep the
// control plane's packages out of the agent.
func decodeNameTable(message []byte) (map[string][]netip.Addr, error) {
	table := map[string][]netip.Addr{}
	err := xds.Fields(message, func(number protowire.Number, entry []byte) error {
		if number != 1 {
			return nil
		}
		host, addrs, err := decodeNameEntry(entry)
		if err == nil && host != "" {
			table[host] = addrs
		}
		return err
	})
	return table, err
}

// decodeNameEntry reads one entry of the map: the host and message NameInfo { repeated string ips = 1; }.
func decodeNameEntry(entry []byte) (host string, addrs []netip.Addr, err error) {
	err = xds.Fields(entry, func(number protowire.Number, value []byte) error {
		switch number {
		case 1:
			host = string(value)
		case 2:
			return xds.Fields(value, func(number protowire.Number, text []byte) error {
				if number != 1 {
					return nil
				}
				addr, err := netip.ParseAddr(string(text))
				if err != nil {
					return fmt.Errorf("name table: %w", err)
				}
				addrs = append(addrs, addr)
				return nil
			})
		}
		return nil
	})
	return host, addrs, err
}
