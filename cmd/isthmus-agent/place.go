package main

import (
	"os"
	"path/filepath"
)

// rootsData is root's data directory, as a package's service uses it.
const rootsData = "/var/lib/isthmus-agent"

// defaultData is where the agent keeps things: ${XDG_STATE_HOME:-~/.local/state}/isthmus-agent for
// ordinary users.
func defaultData() string {
	if os.Getuid() == 0 {
		return rootsData
	}
	if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "isthmus-agent")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "isthmus-agent-data"
	}
	return filepath.Join(home, ".local", "state", "isthmus-agent")
}
