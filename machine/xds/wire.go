package xds

import (
	"errors"
	"fmt"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// message is what goes over the wire.
type message interface {
	encode() []byte
	decode([]byte) error
}

// codec is gRPC's way to our messages.
type codec struct{}

// Name implements encoding.CodecV2. Peers see ordinary protocol buffers.
func (codec) Name() string { return "proto" }

func (codec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(message)
	if !ok {
		return nil, fmt.Errorf("xds: %T is no message", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(m.encode())}, nil
}

func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(message)
	if !ok {
		return fmt.Errorf("xds: %T is no message", v)
	}
	return m.decode(data.Materialize())
}

var errMalformed = errors.New("xds: malformed message")

// Fields calls visit with the fields of a protocol buffer that hold bytes, in order, and skips the others.
func Fields(message []byte, visit func(number protowire.Number, value []byte) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return errMalformed
		}
		message = message[n:]
		length := protowire.ConsumeFieldValue(number, kind, message)
		if length < 0 {
			return errMalformed
		}
		if kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(message)
			if err := visit(number, value); err != nil {
				return err
			}
		}
		message = message[length:]
	}
	return nil
}

// AppendBytes adds a field that holds bytes.
func AppendBytes(message []byte, number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(message, number, protowire.BytesType), value)
}

// appendText adds a text unless it is empty.
func appendText(message []byte, number protowire.Number, text string) []byte {
	if text == "" {
		return message
	}
	return AppendBytes(message, number, []byte(text))
}

// appendTexts adds a repeated field. An empty text is an element like others.
func appendTexts(message []byte, number protowire.Number, texts []string) []byte {
	for _, text := range texts {
		message = AppendBytes(message, number, []byte(text))
	}
	return message
}

// Any is google.protobuf.Any.
type Any struct {
	TypeURL string
	Value   []byte
}

// Encode is the message.
func (a Any) Encode() []byte {
	return AppendBytes(appendText(nil, 1, a.TypeURL), 2, a.Value)
}

// DecodeAny reads an Any.
func DecodeAny(message []byte) (a Any, err error) {
	err = Fields(message, func(number protowire.Number, value []byte) error {
		switch number {
		case 1:
			a.TypeURL = string(value)
		case 2:
			a.Value = value
		}
		return nil
	})
	return a, err
}

// Rejection is why a client refuses a response: google.rpc.Status with code INVALID_ARGUMENT.
type Rejection struct{ Text string }

const invalidArgument = 3

// Message is the text; empty for no rejection.
func (r *Rejection) Message() string {
	if r == nil {
		return ""
	}
	return r.Text
}

func (r *Rejection) append(message []byte, number protowire.Number) []byte {
	if r == nil {
		return message
	}
	status := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), invalidArgument)
	return AppendBytes(message, number, appendText(status, 2, r.Text))
}

func decodeRejection(message []byte) (*Rejection, error) {
	r := &Rejection{}
	err := Fields(message, func(number protowire.Number, value []byte) error {
		if number == 2 {
			r.Text = string(value)
		}
		return nil
	})
	return r, err
}

// appendNode adds envoy.config.core.v3.Node with an id and what the client is.
func appendNode(message []byte, number protowire.Number, id string) []byte {
	if id == "" {
		return message
	}
	return AppendBytes(message, number, appendText(appendText(nil, 1, id), 6, "envoy"))
}
