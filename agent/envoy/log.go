package envoy

import (
	"context"
	"os"
)

// maxLog is the size of Envoy's log, in bytes, at which it is put aside. One old log is kept.
const maxLog = 16 << 20

// trimLog puts a long log aside.
func (p *Proxy) trimLog(ctx context.Context) {
	file := p.spec.LogFile()
	if info, err := os.Stat(file); err != nil || info.Size() < maxLog {
		return
	}
	err := os.Rename(file, file+".1")
	if err == nil {
		err = p.admin.reopenLogs(ctx)
	}
	if err != nil {
		p.log.Error("Envoy's log cannot be put aside", "err", err)
	}
}
