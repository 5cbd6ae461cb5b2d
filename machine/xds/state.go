package xds

import "google.golang.org/protobuf/encoding/protowire"

// Request is envoy.service.discovery.v3.DiscoveryRequest: the state-of-the-world form, as a server
// reads it.
type Request struct {
	TypeURL   string
	Names     []string
	Nonce     string
	Rejection *Rejection
}

func (r *Request) encode() []byte {
	m := appendTexts(nil, 3, r.Names)
	m = appendText(m, 4, r.TypeURL)
	m = appendText(m, 5, r.Nonce)
	return r.Rejection.append(m, 6)
}

func (r *Request) decode(m []byte) error {
	*r = Request{}
	return Fields(m, func(number protowire.Number, value []byte) (err error) {
		switch number {
		case 3:
			r.Names = append(r.Names, string(value))
		case 4:
			r.TypeURL = string(value)
		case 5:
			r.Nonce = string(value)
		case 6:
			r.Rejection, err = decodeRejection(value)
		}
		return err
	})
}

// Response is envoy.service.discovery.v3.DiscoveryResponse.
type Response struct {
	Version   string
	TypeURL   string
	Resources []Any
	Nonce     string
}

func (r *Response) encode() []byte {
	m := appendText(nil, 1, r.Version)
	for _, resource := range r.Resources {
		m = AppendBytes(m, 2, resource.Encode())
	}
	m = appendText(m, 4, r.TypeURL)
	return appendText(m, 5, r.Nonce)
}

func (r *Response) decode(m []byte) error {
	*r = Response{}
	return Fields(m, func(number protowire.Number, value []byte) error {
		switch number {
		case 1:
			r.Version = string(value)
		case 2:
			resource, err := DecodeAny(value)
			r.Resources = append(r.Resources, resource)
			return err
		case 4:
			r.TypeURL = string(value)
		case 5:
			r.Nonce = string(value)
		}
		return nil
	})
}
