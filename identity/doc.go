// Package identity says who is who: SPIFFE identities, the certificates that prove them and the
// tokens that admit a newcomer.
//
// One root authority lives at the hub. It signs an intermediate authority for each zone, which the
// zone's edge uses to sign the certificates of the zone's workloads; the intermediate's key never
// leaves the edge. All certificates are X.509-SVIDs
// (https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md): one URI name, the identity.
//
// An [Authority] signs with a [crypto.Signer], so that its key may live in an HSM. Names in a
// certificate request are never looked at: the identity comes from the caller who was authenticated.
//
// Everything here is the standard library only, safe for concurrent use, and reads no clock of its own.
package identity
