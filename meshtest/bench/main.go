// Command bench measures Isthmus the way its users feel it and prints a Markdown table: how long a
// change takes from the hub to the last proxy, how long a bad health takes to reach callers, how
// soon everybody is back after an edge restart, and what it costs in memory and bytes.
//
// The control plane is real: hub and edge are processes of their own, as shipped. The proxies are
// simulated by [github.com/isthmus-mesh/isthmus/meshtest/swarm], in a third process. With -overhead
// agents and Envoys are real too: requests through two of them are compared with requests through two
// Envoys with hand-written configuration.
//
// With -profiles, the edge's profiles of heap and CPU are kept for each size.
//
// Stock istiod, fed by a kube-apiserver, is measured with the same swarm by BenchmarkStock, which needs root; with
// -stock the table sets its figures beside ours.
//
//	bench [-proxies 1,100,1000,2000] [-changes 100] [-bin bin] [-profiles DIR] [-stock FILE]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	sizes := flag.String("proxies", "1,100,1000,2000", "numbers of simulated proxies, ascending")
	changes := flag.Int("changes", 100, "changes measured at each size")
	bin := flag.String("bin", "bin", "directory of the isthmus program")
	profiles := flag.String("profiles", "", "directory for the edge's profiles; empty means none")
	overhead := flag.Bool("overhead", false, "measure requests through Envoys instead of the control plane")
	stock := flag.String("stock", "", "file of stock istiod's figures, as BenchmarkStock writes it; empty means no peer")
	swarmFor := flag.Bool("swarm", false, "run as the swarm process (internal)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := func() error {
		peers, err := readPeers(*stock)
		if err != nil {
			return err
		}
		return measure(ctx, *bin, numbers(*sizes), *changes, *profiles, peers)
	}
	if *overhead {
		run = func() error { return measureOverhead(ctx, *bin, 6) }
	}
	if *swarmFor {
		run = func() error { return serveSwarm(ctx, os.Stdin, os.Stdout) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func numbers(text string) (out []int) {
	for _, field := range strings.Split(text, ",") {
		if n, err := strconv.Atoi(strings.TrimSpace(field)); err == nil {
			out = append(out, n)
		}
	}
	return out
}
