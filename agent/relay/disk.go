package relay

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/isthmus-mesh/isthmus/machine/xds"
)

// The file of the holdings: this line, the SHA-256 of what follows, then one DeltaDiscoveryResponse per
// type, each as a field 1.
const fileHeading = "isthmus relay 1\n"

// MaxFile is the largest file of holdings, in bytes. Larger ones are neither written nor read.
const MaxFile = 256 << 20

func encode(pages []*xds.DeltaResponse) ([]byte, error) {
	var body []byte
	for _, page := range pages {
		body = xds.AppendBytes(body, 1, page.Encode())
	}
	if len(body) > MaxFile {
		return nil, fmt.Errorf("holdings: %d bytes, more than %d", len(body), MaxFile)
	}
	sum := sha256.Sum256(body)
	return bytes.Join([][]byte{[]byte(fileHeading), sum[:], body}, nil), nil
}

// decode reads what [encode] wrote. It refuses files that are damaged anywhere.
func decode(file []byte) (*holdings, error) {
	rest, ok := bytes.CutPrefix(file, []byte(fileHeading))
	if !ok || len(rest) < sha256.Size || len(file) > 2*MaxFile {
		return nil, errors.New("holdings: not a file of this version")
	}
	sum, body := rest[:sha256.Size], rest[sha256.Size:]
	if want := sha256.Sum256(body); !bytes.Equal(sum, want[:]) {
		return nil, errors.New("holdings: the checksum is wrong")
	}
	return decodePages(body)
}

func decodePages(body []byte) (*holdings, error) {
	h := newHoldings()
	err := xds.Fields(body, func(_ protowire.Number, message []byte) error {
		page, err := xds.DecodeDeltaResponse(message)
		if err == nil {
			h.accept(page.TypeURL, page.Resources, nil, func(string) bool { return true })
		}
		return err
	})
	return h, err
}
