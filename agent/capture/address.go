package capture

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// loopback6 is where Envoy's connections to the application come from over IPv6, by Istio's configuration, and
// how our rules know them. It is no address of the machine until it is added; its counterpart 127.0.0.6 always is.
const loopback6 = "::6/128"

// addLoopback gives the machine the address; it may have it already.
func addLoopback(ctx context.Context) error {
	if _, err := exec.LookPath("ip"); err != nil {
		return errors.New("ip is not installed (package iproute2); IPv6 needs it")
	}
	out, err := exec.CommandContext(ctx, "ip", "-6", "address", "replace", loopback6, "dev", "lo").CombinedOutput()
	if err != nil {
		return fmt.Errorf("adding %s to the loopback device: %w: %s", loopback6, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// dropLoopback takes the address away. It fails where there is none, which is what is wanted.
func dropLoopback(ctx context.Context) {
	_ = exec.CommandContext(ctx, "ip", "-6", "address", "delete", loopback6, "dev", "lo").Run()
}
