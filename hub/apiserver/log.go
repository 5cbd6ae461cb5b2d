package apiserver

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-logr/logr"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
)

// quiet is the handler for what libraries say: their Info is our Debug. While hush is true so is
// everything else: etcd calls its own orderly end an error, several times.
type quiet struct {
	slog.Handler
	hush *atomic.Bool
}

// harmless are warnings of etcd at a start that ask for nothing: nobody but this process speaks to it,
// through a socket, and a new one has no schema yet.
var harmless = []string{
	"Running http and grpc server on single port. This is not recommended for production.",
	"Failed to detect schema version",
	"simple token is not cryptographically signed",
}

func (q quiet) level(level slog.Level) slog.Level {
	if level >= slog.LevelWarn && !q.hush.Load() {
		return level
	}
	return min(level, slog.LevelInfo) + slog.LevelDebug
}

// Enabled implements slog.Handler.
func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return q.Handler.Enabled(ctx, q.level(level))
}

// Handle implements slog.Handler.
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	if slices.Contains(harmless, r.Message) {
		return nil
	}
	r.Level = q.level(r.Level)
	if saysItsContextEnded(r) {
		r.Level = slog.LevelDebug
	}
	if !q.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return q.Handler.Handle(ctx, r)
}

// saysItsContextEnded is true of what the parts of an API server report when they are stopped.
func saysItsContextEnded(r slog.Record) (ended bool) {
	r.Attrs(func(a slog.Attr) bool {
		ended = a.Key == "err" && strings.HasSuffix(a.Value.String(), context.Canceled.Error())
		return !ended
	})
	return ended
}

// WithAttrs implements slog.Handler.
func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quiet{q.Handler.WithAttrs(attrs), q.hush}
}

// WithGroup implements slog.Handler.
func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name), q.hush} }

var klogOnce sync.Once

// captureKlog sends what Kubernetes' libraries log to log. Their logger is process-wide, so the first
// call wins.
func captureKlog(log *slog.Logger) {
	klogOnce.Do(func() {
		klog.SetLogger(logr.FromSlogHandler(quiet{log.With("part", "kubernetes").Handler(), new(atomic.Bool)}))
	})
}

// zapLogger is etcd's logger over ours, until hush is true.
func zapLogger(log *slog.Logger, hush *atomic.Bool) *zap.Logger {
	return zap.New(&zapCore{quiet{log.With("part", "etcd").Handler(), hush}})
}

// zapCore writes zap's records to a slog handler.
type zapCore struct{ handler slog.Handler }

func (c *zapCore) Enabled(level zapcore.Level) bool {
	return c.handler.Enabled(context.Background(), slogLevel(level))
}

func (c *zapCore) With(fields []zapcore.Field) zapcore.Core {
	return &zapCore{c.handler.WithAttrs(slogAttrs(fields))}
}

func (c *zapCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !c.Enabled(entry.Level) {
		return checked
	}
	return checked.AddCore(entry, c)
}

func (c *zapCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	record := slog.NewRecord(entry.Time, slogLevel(entry.Level), entry.Message, 0)
	record.AddAttrs(slogAttrs(fields)...)
	return c.handler.Handle(context.Background(), record)
}

func (c *zapCore) Sync() error { return nil }

func slogLevel(level zapcore.Level) slog.Level {
	switch {
	case level < zapcore.InfoLevel:
		return slog.LevelDebug
	case level == zapcore.InfoLevel:
		return slog.LevelInfo
	case level == zapcore.WarnLevel:
		return slog.LevelWarn
	}
	return slog.LevelError
}

func slogAttrs(fields []zapcore.Field) []slog.Attr {
	attrs := make([]slog.Attr, 0, len(fields))
	for _, field := range fields {
		one := zapcore.NewMapObjectEncoder()
		field.AddTo(one)
		for key, value := range one.Fields {
			attrs = append(attrs, slog.Any(key, value))
		}
	}
	return attrs
}
