package main

import (
	"context"
	_ "embed"
	"html/template"
	"net"
	"net/http"
	"strings"

	"github.com/isthmus-mesh/isthmus/examples/shop/ratespb"
)

// web is the front: a page for browsers, the same as JSON for everybody else.
type web struct {
	httpServer
	config config
	rates  ratespb.RatesClient // nil means: do without
	close  func() error
}

func newWeb(self self, cfg config) (*web, error) {
	w := &web{config: cfg, close: func() error { return nil }}
	w.httpServer = httpServer{self, w.product}
	if cfg.rates != "" {
		conn, err := dialRates(cfg.rates, cfg.ratesThrough)
		if err != nil {
			return nil, err
		}
		w.rates, w.close = ratespb.NewRatesClient(conn), conn.Close
	}
	return w, nil
}

// Serve implements server.
func (w *web) Serve(ctx context.Context, listener net.Listener) error {
	defer w.close()
	return serveHTTP(ctx, listener, w.routes(writePage))
}

// product asks every dependency that is configured, one after the other.
func (w *web) product(ctx context.Context, header http.Header, answer *Answer) {
	if url := w.config.details; url != "" {
		answer.ask("details", func() (*Answer, error) { return get(ctx, url+"/details", header) })
	}
	if url := w.config.reviews; url != "" {
		answer.ask("reviews", func() (*Answer, error) { return get(ctx, url+"/reviews", header) })
	}
	if w.rates != nil {
		answer.ask("rates", func() (*Answer, error) { return convert(ctx, w.rates, header, 1490, "USD") })
	}
	if address := w.config.ledger; address != "" {
		answer.ask("ledger", func() (*Answer, error) { return note(ctx, address, "looked at Walden") })
	}
}

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// writePage writes HTML to those who ask for it.
func writePage(w http.ResponseWriter, r *http.Request, status int, answer *Answer) {
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		writeJSON(w, r, status, answer)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	page.Execute(w, answer) // fails only if the caller has gone
}
