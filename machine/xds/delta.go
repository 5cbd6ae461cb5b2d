package xds

import (
	"bytes"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// DeltaRequest is envoy.service.discovery.v3.DeltaDiscoveryRequest.
type DeltaRequest struct {
	// NodeID is sent in the first request of a stream; it is not read.
	NodeID      string
	TypeURL     string
	Subscribe   []string
	Unsubscribe []string
	// Versions are those of the resources the client has.
	Versions map[string]string
	// Nonce of the response that is answered; empty if none is.
	Nonce     string
	Rejection *Rejection
}

func (r *DeltaRequest) encode() []byte {
	m := appendNode(nil, 1, r.NodeID)
	m = appendText(m, 2, r.TypeURL)
	m = appendTexts(m, 3, r.Subscribe)
	m = appendTexts(m, 4, r.Unsubscribe)
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		m = AppendBytes(m, 5, appendText(appendText(nil, 1, name), 2, r.Versions[name]))
	}
	m = appendText(m, 6, r.Nonce)
	return r.Rejection.append(m, 7)
}

func (r *DeltaRequest) decode(m []byte) error {
	*r = DeltaRequest{}
	return Fields(m, func(number protowire.Number, value []byte) (err error) {
		switch number {
		case 2:
			r.TypeURL = string(value)
		case 3:
			r.Subscribe = append(r.Subscribe, string(value))
		case 4:
			r.Unsubscribe = append(r.Unsubscribe, string(value))
		case 5:
			err = r.decodeVersion(value)
		case 6:
			r.Nonce = string(value)
		case 7:
			r.Rejection, err = decodeRejection(value)
		}
		return err
	})
}

func (r *DeltaRequest) decodeVersion(entry []byte) error {
	var name, version string
	err := Fields(entry, func(number protowire.Number, value []byte) error {
		switch number {
		case 1:
			name = string(value)
		case 2:
			version = string(value)
		}
		return nil
	})
	if r.Versions == nil {
		r.Versions = map[string]string{}
	}
	r.Versions[name] = version
	return err
}

// Resource is envoy.service.discovery.v3.Resource. It is immutable.
type Resource struct {
	name, version string
	message       []byte
}

// NewResource makes a resource.
func NewResource(name, version string, body Any) *Resource {
	m := appendText(nil, 1, version)
	m = AppendBytes(m, 2, body.Encode())
	return &Resource{name, version, appendText(m, 3, name)}
}

// decodeResource reads a resource and keeps a copy of the message, as the other resources of a
// response may be forgotten sooner.
func decodeResource(m []byte) (*Resource, error) {
	r := &Resource{message: bytes.Clone(m)}
	err := Fields(m, func(number protowire.Number, value []byte) error {
		switch number {
		case 1:
			r.version = string(value)
		case 3:
			r.name = string(value)
		}
		return nil
	})
	return r, err
}

// Name of the resource, unique in its type.
func (r *Resource) Name() string { return r.name }

// Version of its content.
func (r *Resource) Version() string { return r.version }

// Body is its content.
func (r *Resource) Body() (body Any, err error) {
	err = Fields(r.message, func(number protowire.Number, value []byte) (err error) {
		if number == 2 {
			body, err = DecodeAny(value)
		}
		return err
	})
	return body, err
}

// DeltaResponse is envoy.service.discovery.v3.DeltaDiscoveryResponse.
type DeltaResponse struct {
	// SystemVersion is for people.
	SystemVersion string
	TypeURL       string
	Resources     []*Resource
	Removed       []string
	Nonce         string
}

func (r *DeltaResponse) encode() []byte {
	m := appendText(nil, 1, r.SystemVersion)
	for _, resource := range r.Resources {
		m = AppendBytes(m, 2, resource.message)
	}
	m = appendText(m, 4, r.TypeURL)
	m = appendText(m, 5, r.Nonce)
	return appendTexts(m, 6, r.Removed)
}

func (r *DeltaResponse) decode(m []byte) error {
	*r = DeltaResponse{}
	return Fields(m, func(number protowire.Number, value []byte) (err error) {
		switch number {
		case 1:
			r.SystemVersion = string(value)
		case 2:
			var resource *Resource
			resource, err = decodeResource(value)
			r.Resources = append(r.Resources, resource)
		case 4:
			r.TypeURL = string(value)
		case 5:
			r.Nonce = string(value)
		case 6:
			r.Removed = append(r.Removed, string(value))
		}
		return err
	})
}

// Encode is the message, to be written down.
func (r *DeltaResponse) Encode() []byte { return r.encode() }

// DecodeDeltaResponse reads what Encode wrote.
func DecodeDeltaResponse(m []byte) (*DeltaResponse, error) {
	r := &DeltaResponse{}
	return r, r.decode(m)
}
