package plan

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"strconv"
)

// Virtual is where all virtual addresses lie.
var Virtual = netip.MustParsePrefix("240.0.0.0/4")

// Address is the virtual IPv4 address of a host: attempt 0 is the one it has unless another host
// hashes to the same; the compiler settles those by taking the next attempts.
//
// Addresses lie in [Virtual], which no network routes (RFC 1112 section 4), without its first
// and last /24.
func Address(host string, attempt int) netip.Addr {
	sum := sha256.Sum256([]byte(host + "#" + strconv.Itoa(attempt)))
	const first, count = 0xF0000100, 0xFFFFFF00 - 0xF0000100
	var bytes [4]byte
	binary.BigEndian.PutUint32(bytes[:], first+uint32(binary.BigEndian.Uint64(sum[:8])%count))
	return netip.AddrFrom4(bytes)
}
