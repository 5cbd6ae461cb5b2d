package main

import (
	"io"
	"log/slog"

	"github.com/spf13/pflag"
)

// logging is how the agent logs.
type logging struct {
	level slog.Level
	json  bool
}

func (l *logging) addTo(flags *pflag.FlagSet) {
	flags.TextVar(&l.level, "log-level", slog.LevelInfo, "log from this level: debug, info, warn or error")
	flags.BoolVar(&l.json, "log-json", false, "log in JSON, a line each")
}

func (l *logging) logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: l.level}
	if l.json {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
