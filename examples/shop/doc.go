// Command shop is the sample application: a small book shop of six services in one program, to be
// run on six machines or more, or all on one.
//
//	web ──HTTP──► details
//	 ├────HTTP──► reviews v1, v2, v3 ──HTTP──► ratings   (v1 does without ratings)
//	 ├────gRPC──► rates
//	 └────TCP───► ledger
//
// It knows nothing of a mesh: a service calls the next one by name and port, or through
// HTTP_PROXY. Every answer says which service, version and host gave it, and which caller identity
// it saw, as its proxy reports it in X-Forwarded-Client-Cert. So whatever the mesh does to a
// request is to be read in the answer; a service of which a dependency failed answers 502 and says
// which. Knobs that make a service fail or slow down are in [knobs].
//
//	shop reviews --listen 127.0.0.1:9080 --version v2 --ratings http://ratings:9080
//
// Every flag may be given as an environment variable too: --ratings as SHOP_RATINGS.
package main
