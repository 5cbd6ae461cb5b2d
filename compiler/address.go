package compiler

import (
	"slices"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// Virtual addresses are hashes of hosts, so that hub and edges find the same ones without talking.
// Where two hosts hash to one address the first by name has it; the others, a few in ten thousand,
// find another one together in a single unit, in order, so that history does not matter.

func slotKey(host string) key {
	return key{unit: unitSlot, part: plan.Address(host, 0).String()}
}

// slot computes unitSlot: the host an address belongs to.
func slot(w *work) any {
	var hosts []string
	for m := range w.members() {
		hosts = append(hosts, m.(string))
	}
	if hosts == nil {
		return nil
	}
	slices.Sort(hosts)
	hosts = slices.Compact(hosts)
	for _, host := range hosts[1:] {
		w.send(key{unit: unitCrowd}, host)
	}
	return hosts[0]
}

// crowd computes unitCrowd: the addresses of hosts that lost their first one.
func crowd(w *work) any {
	hosts, _ := names(w.members()).([]string)
	if hosts == nil {
		return nil
	}
	addresses := make(map[string]string, len(hosts))
	taken := make(map[string]bool, len(hosts))
	for _, host := range hosts {
		address := freeAddress(w, host, taken)
		addresses[host], taken[address] = address, true
	}
	return addresses
}

func freeAddress(w *work, host string, taken map[string]bool) string {
	for attempt := 1; ; attempt++ {
		address := plan.Address(host, attempt).String()
		if !taken[address] && value[any](w, key{unit: unitSlot, part: address}) == nil {
			return address
		}
	}
}

// addressOf is the virtual address of a host of a service that exists.
func addressOf(w *work, host string) string {
	k := slotKey(host)
	if value[string](w, k) == host {
		return k.part
	}
	return value[map[string]string](w, key{unit: unitCrowd})[host]
}
