package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// ledger counts what was looked at. Its protocol is raw TCP, a line each way: "ADD text" answers an
// [Answer] in JSON whose content is the number of entries, anything else answers an error. It
// sees no identity, so it tells the address of its peer.
type ledger struct {
	self
	connections sync.WaitGroup
}

// Serve implements server.
func (l *ledger) Serve(ctx context.Context, listener net.Listener) error {
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	defer l.connections.Wait()
	for {
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		l.connections.Go(func() { l.talk(ctx, conn) })
	}
}

// talk answers lines until the peer hangs up or the service is stopped between two lines.
func (l *ledger) talk(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(0, 1)) })
	defer stop()
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		reply, err := json.Marshal(l.reply(ctx, lines.Text(), conn.RemoteAddr().String()))
		if err != nil {
			return
		}
		if _, err := conn.Write(append(reply, '\n')); err != nil {
			return
		}
	}
}

func (l *ledger) reply(ctx context.Context, line, remote string) *Answer {
	answer := l.answer("", remote)
	_, delay := l.knobs.next()
	wait(ctx, delay)
	if _, ok := strings.CutPrefix(line, "ADD "); !ok {
		answer.Error = "expected: ADD text"
		return answer
	}
	answer.Content = l.requests.Add(1)
	return answer
}

// note writes a line into the ledger at address.
func note(ctx context.Context, address, text string) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(0, 1)) })
	defer stop()
	if _, err := fmt.Fprintf(conn, "ADD %s\n", text); err != nil {
		return nil, err
	}
	answer := new(Answer)
	if err := json.NewDecoder(conn).Decode(answer); err != nil {
		return nil, fmt.Errorf("ledger at %s: %w", address, err)
	}
	return answer, nil
}
