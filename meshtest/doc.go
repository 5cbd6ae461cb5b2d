// Package meshtest is a whole world for tests: a hub, zones with edges, machines with agents and real
// Envoys, the sample shop on them, a desk to administer from, and a load that counts.
//
//	w := meshtest.New(t)
//	zone := w.Zone("dc1")                                   // starts the hub, then the zone's edge
//	w.Workspace("shop")
//	rv := w.Machine("rv1")
//	rv.Serve("reviews", "--version=v2")                      // the application
//	rv.Join(zone.Token("shop", "reviews"), "--port=9080=http", "--version=v2")
//	w.Apply(`...`)
//	w.Kubectl("wait", "--for=condition=Programmed", "httproute/reviews", "-n", "shop")
//
// Every program is the real one, built once per test run, a process with a log of its own; when a test fails, the
// ends of the logs are printed. Machines are network namespaces ([netns]), so the world needs root and
// its addresses are fixed: any number of worlds run side by side. Disks are folders of the test.
//
// Nothing here sleeps: [Eventually] asks until the answer is right. Methods that can fail end the test, so they
// are called from the test's goroutine; [Load] and [Process] may be used from any.
package meshtest
