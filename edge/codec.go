package edge

import (
	"fmt"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// exact is gRPC's codec for protobuf without its pool of buffers. The pool rounds what is larger than
// 32 KiB up to 1 MiB, and the first configuration of a proxy is: a thousand proxies that connect at once
// would cost a gigabyte.
type exact struct{}

// Name is that of the codec it replaces.
func (exact) Name() string { return "proto" }

// Marshal allocates what the message needs.
func (exact) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is no protobuf message", v)
	}
	raw, err := proto.Marshal(m)
	return mem.BufferSlice{mem.SliceBuffer(raw)}, err
}

// Unmarshal is gRPC's.
func (exact) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is no protobuf message", v)
	}
	return proto.Unmarshal(data.Materialize(), m)
}
