package apiserver

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/isthmus-mesh/isthmus/durable"
)

// encryptionConfig is the API server's own format. Without the provider "identity" nothing that is
// not encrypted is taken for a Secret.
const encryptionConfig = `# The key of the Secrets. Without it they cannot be read: keep it with the backups of etcd, apart from them.
# Every replica of the hub needs the same.
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources: [secrets]
    providers:
      - secretbox:
          keys:
            - name: key1
              secret: %s
`

// ensureEncryption makes the file with the key of the Secrets if there is none.
func ensureEncryption(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	key := make([]byte, 32) // XSalsa20's
	rand.Read(key)          // never fails
	return durable.WriteFile(path, fmt.Appendf(nil, encryptionConfig, base64.StdEncoding.EncodeToString(key)))
}
