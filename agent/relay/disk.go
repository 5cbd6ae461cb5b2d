package relay

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
)

// The file of the holdings: this line, the SHA-256 of what follows, then one length-prefixed
// DeltaDiscoveryResponse per type.
const fileHeading = "isthmus relay 1\n"

// MaxFile is the largest file of holdings, in bytes. Larger ones are neither written nor read.
const MaxFile = 256 << 20

func encode(pages []*discovery.DeltaDiscoveryResponse) ([]byte, error) {
	var body bytes.Buffer
	marshal := protodelim.MarshalOptions{MarshalOptions: proto.MarshalOptions{Deterministic: true}}
	for _, page := range pages {
		if _, err := marshal.MarshalTo(&body, page); err != nil {
			return nil, fmt.Errorf("holdings: %w", err)
		}
	}
	if body.Len() > MaxFile {
		return nil, fmt.Errorf("holdings: %d bytes, more than %d", body.Len(), MaxFile)
	}
	sum := sha256.Sum256(body.Bytes())
	return bytes.Join([][]byte{[]byte(fileHeading), sum[:], body.Bytes()}, nil), nil
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
	unmarshal := protodelim.UnmarshalOptions{MaxSize: MaxFile}
	for reader := bytes.NewReader(body); ; {
		page := &discovery.DeltaDiscoveryResponse{}
		if err := unmarshal.UnmarshalFrom(reader, page); errors.Is(err, io.EOF) {
			return h, nil
		} else if err != nil {
			return nil, fmt.Errorf("holdings: %w", err)
		}
		h.accept(page.TypeUrl, page.Resources, nil, func(string) bool { return true })
	}
}
