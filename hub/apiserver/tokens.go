package apiserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
)

// tokenFile authenticates bearer tokens by a file of lines
//
//	SHA256-OF-TOKEN USER [GROUP,GROUP...]
//
// with the hash in lower-case hexadecimal; empty lines and those that begin with # are skipped. A
// token has to be random: the hash is not salted. The file is read again when it has changed. A line
// that is wrong is logged and admits nobody.
type tokenFile struct {
	path string
	log  *slog.Logger

	mu    sync.Mutex
	read  time.Time // modification time of what was read
	users map[string]*user.DefaultInfo
}

// AuthenticateToken implements authenticator.Token.
func (f *tokenFile) AuthenticateToken(_ context.Context, token string) (*authenticator.Response, bool, error) {
	hash := sha256.Sum256([]byte(token))
	users, err := f.current()
	if err != nil {
		return nil, false, err
	}
	u, ok := users[hex.EncodeToString(hash[:])]
	if !ok {
		return nil, false, nil
	}
	return &authenticator.Response{User: u}, true, nil
}

func (f *tokenFile) current() (map[string]*user.DefaultInfo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if info.ModTime().Equal(f.read) {
		return f.users, nil
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		return nil, err
	}
	f.read, f.users = info.ModTime(), f.parse(string(text))
	return f.users, nil
}

func (f *tokenFile) parse(text string) map[string]*user.DefaultInfo {
	users := map[string]*user.DefaultInfo{}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		hash, u, err := parseToken(line)
		if err != nil {
			f.log.Error("token file: a line is wrong and admits nobody", "file", f.path, "line", i+1, "err", err)
			continue
		}
		users[hash] = u
	}
	return users
}

func parseToken(line string) (hash string, u *user.DefaultInfo, err error) {
	fields := strings.Fields(line)
	if len(fields) < 2 || len(fields) > 3 {
		return "", nil, fmt.Errorf("%d fields, want SHA256 USER [GROUP,GROUP...]", len(fields))
	}
	if raw, err := hex.DecodeString(fields[0]); err != nil || len(raw) != sha256.Size || fields[0] != strings.ToLower(fields[0]) {
		return "", nil, errors.New("the first field is no SHA-256 in lower-case hexadecimal")
	}
	u = &user.DefaultInfo{Name: fields[1]}
	if len(fields) == 3 {
		u.Groups = strings.Split(fields[2], ",")
	}
	if strings.HasPrefix(u.Name, "system:") || strings.Contains(strings.Join(u.Groups, ","), "system:") {
		return "", nil, errors.New("names that begin with system: are reserved")
	}
	return fields[0], u, nil
}
