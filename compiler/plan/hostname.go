package plan

import (
	"net/netip"
	"strings"
)

// Any is the hostname that covers every other.
const Any = "*"

// Covering lists the patterns that cover a hostname: itself, and "*." with each of its parents.
// "*.example.com" covers names of any depth below example.com, but not example.com.
func Covering(hostname string) []string {
	patterns := []string{hostname}
	rest := strings.TrimPrefix(hostname, "*.")
	if rest != hostname {
		rest = "x." + rest
	}
	for {
		_, parent, more := strings.Cut(rest, ".")
		if !more {
			return patterns
		}
		if pattern := "*." + parent; pattern != hostname {
			patterns = append(patterns, pattern)
		}
		rest = parent
	}
}

// Covers says whether a pattern stands for every name that hostname stands for.
func Covers(pattern, hostname string) bool {
	if pattern == Any || pattern == hostname {
		return true
	}
	suffix, wild := strings.CutPrefix(pattern, "*")
	if !wild {
		return false
	}
	return strings.HasSuffix(strings.TrimPrefix(hostname, "*"), suffix) && hostname != suffix[1:]
}

// Intersect is the narrower one of two hostnames that overlap; "" when they do not.
func Intersect(a, b string) string {
	switch {
	case Covers(a, b):
		return b
	case Covers(b, a):
		return a
	}
	return ""
}

// IsName says whether a host is a DNS name, not an address.
func IsName(host string) bool {
	_, err := netip.ParseAddr(host)
	return err != nil
}
