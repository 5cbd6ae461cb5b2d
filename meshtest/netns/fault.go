package netns

import (
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// fault is what is wrong with the way from one host to another.
type fault struct {
	delay time.Duration
	loss  float64 // share of frames, 0 to 1
}

// way leads from one host to another; there and back are two ways.
type way struct{ from, to *Host }

// Delay has what a host sends to another arrive later, in order. The way back stays as it is.
func (l *LAN) Delay(from, to *Host, delay time.Duration) {
	l.t.Helper()
	l.change(way{from, to}, func(f *fault) { f.delay = delay })
}

// Lose drops a share, 0 to 1, of the frames that a host sends to another, at random. A frame may be many
// packets of one connection, as the kernel bundles them.
func (l *LAN) Lose(from, to *Host, share float64) {
	l.t.Helper()
	l.change(way{from, to}, func(f *fault) { f.loss = share })
}

// Cut drops everything that a host sends to another: nobody is told. The way back stays as it is.
func (l *LAN) Cut(from, to *Host) {
	l.t.Helper()
	l.Lose(from, to, 1)
}

// Heal ends what is wrong between two hosts, both ways.
func (l *LAN) Heal(a, b *Host) {
	l.t.Helper()
	l.change(way{a, b}, func(f *fault) { *f = fault{} })
	l.change(way{b, a}, func(f *fault) { *f = fault{} })
}

// change makes the kernel's switch drop what goes a faulty way; what shall arrive nevertheless, a wire carries.
func (l *LAN) change(w way, change func(*fault)) {
	l.t.Helper()
	l.wiring.Lock()
	defer l.wiring.Unlock()
	f := l.faults[w]
	change(&f)
	if f == (fault{}) {
		delete(l.faults, w)
	} else {
		l.faults[w] = f
	}
	l.unwire(w)
	if f.loss < 1 && f != (fault{}) {
		l.wire(w, f)
	}
	l.drop()
}

func (l *LAN) wire(w way, f fault) {
	l.t.Helper()
	wire, err := l.startWire(w, f)
	if err != nil {
		l.t.Fatalf("a wire from %s to %s: %v", w.from.Name, w.to.Name, err)
	}
	l.wires[w] = wire
}

func (l *LAN) unwire(w way) {
	if wire := l.wires[w]; wire != nil {
		wire.close(l.t)
		delete(l.wires, w)
	}
}

// drop tells the switch which ways are faulty.
func (l *LAN) drop() {
	l.t.Helper()
	rules := "table bridge faults\ndelete table bridge faults\ntable bridge faults {\nchain forward {\ntype filter hook forward priority 0\n"
	for w := range l.faults {
		rules += fmt.Sprintf("iifname %q oifname %q drop\n", w.from.port(), w.to.port())
	}
	nft := exec.Command("ip", "netns", "exec", l.ports.name, "nft", "-f", "-")
	nft.Stdin = strings.NewReader(rules + "}\n}\n")
	if out, err := nft.CombinedOutput(); err != nil {
		l.t.Fatalf("cutting ways: %v: %s", err, out)
	}
}
