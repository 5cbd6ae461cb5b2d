package envoy

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// blocks returns the first folder on the way to path that other users may not enter; empty if none.
func blocks(path string) string {
	for dir := filepath.Clean(path); ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&0o001 == 0 {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

// program is a path of the program that Envoy's user can run: the given one, or, if that lies in
// somebody's home, a link or copy beside the bootstrap.
func (s Spec) program() (string, error) {
	if os.Getuid() != 0 || blocks(s.Path) == "" {
		return s.Path, nil
	}
	reachable := s.file("envoy")
	info, err := os.Stat(s.Path)
	if err != nil {
		return "", err
	}
	forAll := info.Mode().Perm()&0o005 == 0o005
	if forAll && sameFile(reachable, s.Path) {
		return reachable, nil
	}
	temp := reachable + ".new"
	_ = os.Remove(temp)
	if !forAll || os.Link(s.Path, temp) != nil {
		if err := copyProgram(s.Path, temp); err != nil {
			return "", err
		}
	}
	return reachable, os.Rename(temp, reachable)
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

func copyProgram(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Chmod(0o755), target.Close())
}
