package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Getenv, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}

// config is what a service is told.
type config struct {
	service, listen, version, host string
	details, reviews, ratings      string // base URLs; empty means: do without
	rates, ratesThrough, ledger    string
}

// server is one of the six services. Serve returns when ctx has ended and what was begun is
// finished, or when the listener fails; it closes the listener.
type server interface {
	Serve(ctx context.Context, listener net.Listener) error
}

func run(ctx context.Context, args []string, env func(string) string, out io.Writer) error {
	cfg, err := parse(args, env, out)
	if err != nil {
		return err
	}
	service, err := newServer(cfg)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", cfg.listen)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(out, nil))
	log.Info("listening", "service", cfg.service, "version", cfg.version, "address", listener.Addr().String())
	return service.Serve(ctx, listener)
}

const services = "web, details, reviews, ratings, rates or ledger"

func parse(args []string, env func(string) string, out io.Writer) (config, error) {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return config{}, fmt.Errorf("name a service first: %s", services)
	}
	cfg := config{service: args[0]}
	flags := cfg.flags(out)
	var err error
	flags.VisitAll(func(f *flag.Flag) {
		if value := env("SHOP_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))); value != "" && err == nil {
			err = f.Value.Set(value)
		}
	})
	if err == nil {
		err = flags.Parse(args[1:])
	}
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return cfg, err
}

func (c *config) flags(out io.Writer) *flag.FlagSet {
	host, _ := os.Hostname() // empty is as good a default
	flags := flag.NewFlagSet("shop "+c.service, flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&c.listen, "listen", "127.0.0.1:9080", "`address` to listen on")
	flags.StringVar(&c.version, "version", "v1", "version to state; reviews v2 and v3 ask ratings")
	flags.StringVar(&c.host, "host", host, "host name to state")
	flags.StringVar(&c.details, "details", "", "base `URL` of details (web)")
	flags.StringVar(&c.reviews, "reviews", "", "base `URL` of reviews (web)")
	flags.StringVar(&c.ratings, "ratings", "", "base `URL` of ratings (reviews)")
	flags.StringVar(&c.rates, "rates", "", "`host:port` of rates, gRPC (web)")
	flags.StringVar(&c.ratesThrough, "rates-through", "", "`address` to connect to instead, asking it for --rates: a proxy that speaks HTTP/2 (web)")
	flags.StringVar(&c.ledger, "ledger", "", "`host:port` of ledger, TCP (web)")
	return flags
}

func newServer(cfg config) (server, error) {
	self := newSelf(cfg)
	switch cfg.service {
	case "web":
		return newWeb(self, cfg)
	case "details":
		return httpServer{self, details}, nil
	case "reviews":
		return httpServer{self, newReviews(cfg)}, nil
	case "ratings":
		return httpServer{self, ratings}, nil
	case "rates":
		return rates{self: self}, nil
	case "ledger":
		return &ledger{self: self}, nil
	}
	return nil, fmt.Errorf("there is no service %q: name %s", cfg.service, services)
}
