package demo

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// apply applies YAML documents as people do, by the command line: so what is tried later finds the
// objects as if they had been applied before.
func (d *demo) apply(ctx context.Context, text []byte) error {
	command := exec.CommandContext(ctx, d.Isthmus, "apply", "-f", "-", "--kubeconfig", d.kubeconfig())
	command.Stdin = bytes.NewReader(text)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s (%w)", strings.TrimSpace(string(out)), err)
	}
	return nil
}
