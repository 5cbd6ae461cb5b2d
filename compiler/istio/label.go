package istio

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// subsetName is a name of a subset as Istio takes it: one DNS label. Others, such as those of
// versions with dots, keep what they can and get a hash.
func subsetName(name string) string {
	const most = 63
	label := labelled(name)
	if label == name && len(name) <= most && strings.Trim(name, "-") == name {
		return name
	}
	return hashed(label, name)
}

// hashed makes a label unique by a hash of all of the name it stands for.
func hashed(label, name string) string {
	const most = 63
	sum := sha256.Sum256([]byte(name))
	hash := "-" + hex.EncodeToString(sum[:4])
	return strings.Trim(label[:min(len(label), most-len(hash))], "-") + hash
}

// labelled replaces what cannot be in a DNS label.
func labelled(name string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			return c
		case c >= 'A' && c <= 'Z':
			return c - 'A' + 'a'
		}
		return '-'
	}, name)
}
