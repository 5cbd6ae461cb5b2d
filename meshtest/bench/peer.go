package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// peer is what stock istiod did, fed by a kube-apiserver, with as many proxies.
type peer struct {
	// P50 and P99 are milliseconds from before the request to the API server until the last acknowledgement.
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	// Istiod and Store are resident sets in MB: of istiod, and of kube-apiserver with etcd.
	Istiod float64 `json:"istiod"`
	Store  float64 `json:"store"`
}

// peers are by the number of proxies.
type peers map[int]peer

// readPeers reads what the benchmark of stock istiod wrote in the same run; without a file there is no peer.
func readPeers(path string) (p peers, err error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("peers: %w", err)
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("peers: %s: %w", path, err)
	}
	return p, nil
}

// beside is three cells of a row: the peer's figures, and its ratios to ours.
func (p peer) beside(p50, p99, memory float64) string {
	if p == (peer{}) {
		return "– | – | –"
	}
	both := p.Istiod + p.Store
	return fmt.Sprintf("%.0f / %.0f ms | %.1f / %.1f | %.0f MB (%.0f + %.0f), ÷ ours %.1f", p.P50, p.P99, p.P50/p50, p.P99/p99, both, p.Istiod, p.Store, both/memory)
}
