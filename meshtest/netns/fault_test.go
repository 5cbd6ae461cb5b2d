package netns

import (
	"context"
	"crypto/sha256"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

// roundTrip is how long a text takes to a host and back, over a new connection.
func roundTrip(t *testing.T, from *Host, at string) time.Duration {
	t.Helper()
	began := time.Now()
	if back, err := say(t.Context(), from, at, "hello"); err != nil || back != "hello" {
		t.Fatalf("%q, %v", back, err)
	}
	return time.Since(began)
}

// best is the shortest of many round trips: the machine may be busy.
func best(t *testing.T, from *Host, at string) time.Duration {
	shortest := time.Hour
	for range 20 {
		shortest = min(shortest, roundTrip(t, from, at))
	}
	return shortest
}

func TestDelayIsOnOneWayOnly(t *testing.T) {
	lan := New(t)
	a, b, c := lan.Host("a"), lan.Host("b"), lan.Host("c")
	atB4, atB6, atC := echo(t, b, b.IPv4), echo(t, b, b.IPv6), echo(t, c, c.IPv4)
	const delay = 30 * time.Millisecond
	lan.Delay(a, b, delay)
	for _, at := range []string{atB4, atB6} { // two frames of a are waited for at least: of the connection and of the text
		if took := roundTrip(t, a, at); took < 2*delay {
			t.Errorf("a connection and a text to %s took %v, want %v at least", at, took, 2*delay)
		}
	}
	if took := best(t, a, atC); took >= 2*delay {
		t.Errorf("a third host took %v at best", took)
	}
	lan.Heal(a, b)
	if took := best(t, a, atB4); took >= 2*delay {
		t.Errorf("after healing: %v at best", took)
	}
}

// What the kernel bundles or leaves undone must arrive whole over a wire.
func TestDelayedBytesArriveWhole(t *testing.T) {
	lan := New(t)
	a, b := lan.Host("a"), lan.Host("b")
	at := echo(t, b, b.IPv4)
	lan.Delay(a, b, 5*time.Millisecond)
	lan.Delay(b, a, 5*time.Millisecond)
	large := strings.Repeat("0123456789", 100_000)
	back, err := say(t.Context(), a, at, large)
	if err != nil || sha256.Sum256([]byte(back)) != sha256.Sum256([]byte(large)) {
		t.Errorf("%d of %d bytes came back, %v", len(back), len(large), err)
	}
}

// datagrams counts how many of n datagrams from a host arrive at another, over a way that is spoilt meanwhile.
func datagrams(t *testing.T, from, to *Host, n int, spoil, heal func()) (arrived int) {
	t.Helper()
	var receiver, sender net.PacketConn
	err1 := to.space.do(func() (err error) {
		receiver, err = net.ListenPacket("udp4", to.IPv4.String()+":0")
		return err
	})
	err2 := from.space.do(func() (err error) {
		sender, err = net.ListenPacket("udp4", from.IPv4.String()+":0")
		return err
	})
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	defer sender.Close()
	receiver.SetReadDeadline(time.Now().Add(30 * time.Second))
	send := func(text string) {
		if _, err := sender.WriteTo([]byte(text), receiver.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	receive := func() string {
		buffer := make([]byte, 8)
		length, _, err := receiver.ReadFrom(buffer)
		if err != nil {
			t.Fatal(err)
		}
		return string(buffer[:length])
	}
	send("first") // after this the hosts know each other
	receive()
	spoil()
	for range n {
		send("x")
	}
	heal()
	for range 30 { // one of them arrives
		send("last")
	}
	for receive() != "last" {
		arrived++
	}
	return arrived
}

func TestLossIsAShareOfOneWay(t *testing.T) {
	lan := New(t)
	a, b := lan.Host("a"), lan.Host("b")
	const sent = 100 // as many as a socket keeps
	spoil, heal := func() { lan.Lose(a, b, 0.4) }, func() {}
	if got := datagrams(t, a, b, sent, spoil, heal); got < 30 || got > 90 {
		t.Errorf("%d of %d arrived, want about 60", got, sent)
	}
	if got := datagrams(t, b, a, sent, spoil, heal); got != sent {
		t.Errorf("the other way %d of %d arrived", got, sent)
	}
}

func TestCutIsOneWay(t *testing.T) {
	lan := New(t)
	a, b, c := lan.Host("a"), lan.Host("b"), lan.Host("c")
	cut, heal := func() { lan.Cut(a, b) }, func() { lan.Heal(a, b) }
	if got := datagrams(t, a, b, 50, cut, heal); got != 0 {
		t.Errorf("%d of 50 arrived", got)
	}
	if got := datagrams(t, b, a, 50, cut, heal); got != 50 {
		t.Errorf("the other way %d of 50 arrived", got)
	}
	if got := datagrams(t, a, c, 50, cut, heal); got != 50 {
		t.Errorf("at a third host %d of 50 arrived", got)
	}
	roundTrip(t, a, echo(t, b, b.IPv4))
}

// A cable that is out of the switch carries nothing, whatever else is wrong.
func TestCutHostIsAloneThoughItsWayIsSlow(t *testing.T) {
	lan := New(t)
	a, b := lan.Host("a"), lan.Host("b")
	at := echo(t, b, b.IPv4)
	lan.Delay(a, b, time.Millisecond)
	b.Cut()
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if back, err := say(short, a, at, "x"); err == nil {
		t.Errorf("it answered %q", back)
	}
	b.Heal()
	roundTrip(t, a, at)
	b.Remove()
}
