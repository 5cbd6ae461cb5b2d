package cli

import (
	"io"
	"log/slog"

	"github.com/spf13/pflag"
	"k8s.io/klog/v2"
)

// logging is how a long-running program logs.
type logging struct {
	level slog.Level
	json  bool
}

func (l *logging) addTo(flags *pflag.FlagSet) {
	flags.TextVar(&l.level, "log-level", slog.LevelInfo, "log from this level: debug, info, warn or error")
	flags.BoolVar(&l.json, "log-json", false, "log in JSON, a line each")
}

// logger makes the program's logger, and has the Kubernetes libraries use it, which the commands
// that ask a hub keep quiet.
func (l *logging) logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: l.level}
	var handler slog.Handler = slog.NewTextHandler(w, options)
	if l.json {
		handler = slog.NewJSONHandler(w, options)
	}
	log := slog.New(handler)
	klog.SetSlogLogger(log)
	return log
}
