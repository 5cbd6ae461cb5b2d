package cli

import (
	"os"
	"runtime/debug"
)

// collectOften trades a little CPU for memory: hub and edge hold much that lives long, and make
// much garbage at once when thousands of proxies change. GOGC in the environment overrides it.
func collectOften() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}
