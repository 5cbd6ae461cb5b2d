// Package systemd holds the units that make the agent a service of systemd.
package systemd

import (
	"embed"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed *.service
var units embed.FS

// Units returns the unit files by name. program is the path of isthmus-agent, data its data directory.
func Units(program, data string) (map[string]string, error) {
	names, err := fs.Glob(units, "*.service")
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	fill := strings.NewReplacer("@PROGRAM@", program, "@DATA@", data)
	for _, name := range names {
		text, err := fs.ReadFile(units, name)
		if err != nil {
			return nil, err
		}
		files[name] = fill.Replace(string(text))
	}
	return files, nil
}

// Install writes the units into a folder and returns their names, sorted.
func Install(folder, program, data string) ([]string, error) {
	files, err := Units(program, data)
	if err != nil {
		return nil, err
	}
	var names []string
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}
