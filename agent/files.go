package agent

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/durable"
)

// folder is the data directory.
type folder string

func (f folder) path(name string) string { return filepath.Join(string(f), name) }

func (f folder) settings() string   { return f.path("agent.json") }
func (f folder) identity() string   { return f.path("identity.json") }
func (f folder) member() string     { return f.path("member.json") }
func (f folder) accepted() string   { return f.path("accepted.bin") }
func (f folder) pendingKey() string { return f.path("pending-key.pem") }

// Socket is where the agent of a data directory listens for other commands.
func Socket(data string) string { return folder(data).path("agent.sock") }

// make makes the directory unless it is there. Root's may be entered by Envoy's user, who finds only
// what is his.
func (f folder) make() error {
	if _, err := os.Stat(string(f)); err == nil {
		return nil
	}
	mode := fs.FileMode(0o700)
	if os.Getuid() == 0 {
		mode = 0o711
	}
	if err := os.MkdirAll(string(f), mode); err != nil {
		return err
	}
	return os.Chmod(string(f), mode) // whatever the umask
}

// lock keeps other agents away until the process ends or release is called.
func (f folder) lock() (release func() error, err error) {
	file, err := os.OpenFile(f.path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(errors.New("another agent runs on "+string(f)), file.Close())
	}
	return file.Close, nil
}

func writeJSON(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(path, append(text, '\n'))
}

// Forget deletes everything a machine knows about itself. The agent must not run.
func Forget(data string) error {
	f := folder(data)
	release, err := f.lock()
	if err != nil {
		return err
	}
	for _, path := range []string{f.identity(), f.settings(), f.member(), f.accepted(), f.pendingKey(), Socket(data), f.path("proxy"), f.path("lock")} {
		if err := os.RemoveAll(path); err != nil {
			return errors.Join(err, release())
		}
	}
	return release()
}

func notJoined(data string) error {
	return problem.NotJoined.Because("%s holds no identity", data)
}
