package envoy

import (
	"context"
	"fmt"
	"net/http"
	"os"
)

// releases is where upstream has its releases; below are "v1.40.0/FILE".
const releases = "https://github.com/envoyproxy/envoy/releases/download"

// fetchRelease writes the file of upstream's release at dest. It must be, byte by byte, the Envoy of the package: the one
// that everything is tested with.
func (f finder) fetchRelease(ctx context.Context, want build, dest string) error {
	url := f.releases + "/v" + Version + "/" + want.asset
	fmt.Fprintf(f.progress, "envoy: fetching %s (100 MB, once)\n", url)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	if err := write(dest, response.Body); err != nil {
		return err
	}
	if err := checkSum(dest, want.binary); err != nil {
		_ = os.Remove(dest) // or nothing is left of it anyway
		return err
	}
	return nil
}
