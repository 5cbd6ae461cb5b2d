// Package systemd lets the agent be a service of systemd: its units, and the sockets that systemd holds
// for it while it is replaced. Its functions are called while the agent starts, before it has goroutines.
package systemd

import (
	"embed"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

//go:embed *.service *.socket
var units embed.FS

// Units returns the unit files by name. program is the path of isthmus-agent, data its data directory.
func Units(program, data string) (map[string]string, error) {
	names, err := fs.Glob(units, "*.s*")
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

// firstSocket is the first descriptor passed, sd_listen_fds(3).
const firstSocket = 3

// Sockets returns the descriptors that systemd opened under a name (FileDescriptorName=). It is asked
// once per name: the caller closes the files.
func Sockets(name string) []*os.File {
	if pid, err := strconv.Atoi(os.Getenv("LISTEN_PID")); err != nil || pid != os.Getpid() {
		return nil
	}
	count, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil {
		return nil
	}
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	var files []*os.File
	for i := range count {
		if i < len(names) && names[i] == name {
			files = append(files, os.NewFile(uintptr(firstSocket+i), name))
		}
	}
	return files
}
