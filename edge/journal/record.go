package journal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"
)

// prefix is the length and checksum in front of a record's body.
const prefix = 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendRecord appends a batch. An entry is the key's length and the key, then 0 for a deletion or
// 1 + the value's length and the value; lengths are unsigned varints.
func appendRecord(to []byte, batch map[string][]byte) []byte {
	start := len(to)
	to = append(to, make([]byte, prefix)...)
	for _, key := range slices.Sorted(maps.Keys(batch)) {
		to = binary.AppendUvarint(to, uint64(len(key)))
		to = append(to, key...)
		value := batch[key]
		if value == nil {
			to = binary.AppendUvarint(to, 0)
			continue
		}
		to = binary.AppendUvarint(to, uint64(len(value))+1)
		to = append(to, value...)
	}
	body := to[start+prefix:]
	binary.LittleEndian.PutUint32(to[start:], uint32(len(body)))
	binary.LittleEndian.PutUint32(to[start+4:], crc32.Checksum(body, castagnoli))
	return to
}

// readRecord reads the first record and says how long it is. It returns io.ErrUnexpectedEOF for one
// that a crash cut off: incomplete, or the last of the file and not matching its checksum.
func readRecord(raw []byte) (map[string][]byte, int, error) {
	if len(raw) < prefix {
		return nil, 0, io.ErrUnexpectedEOF
	}
	length := int(binary.LittleEndian.Uint32(raw))
	if length > len(raw)-prefix {
		return nil, 0, io.ErrUnexpectedEOF
	}
	body := raw[prefix : prefix+length]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(raw[4:]) {
		if prefix+length == len(raw) {
			return nil, 0, io.ErrUnexpectedEOF
		}
		return nil, 0, fmt.Errorf("%w: a record does not match its checksum", ErrCorrupt)
	}
	batch, err := readEntries(body)
	return batch, prefix + length, err
}

func readEntries(body []byte) (map[string][]byte, error) {
	batch := map[string][]byte{}
	for len(body) > 0 {
		key, rest, ok := readBytes(body, 0)
		if !ok {
			return nil, fmt.Errorf("%w: a record has a bad key", ErrCorrupt)
		}
		value, rest, ok := readBytes(rest, 1)
		if !ok {
			return nil, fmt.Errorf("%w: a record has a bad value", ErrCorrupt)
		}
		batch[string(key)], body = value, rest
	}
	return batch, nil
}

// readBytes reads a varint, which is more than the length by bias, and as many bytes. Less than the
// bias stands for nil.
func readBytes(raw []byte, bias uint64) (value, rest []byte, ok bool) {
	n, used := binary.Uvarint(raw)
	if used <= 0 {
		return nil, nil, false
	}
	raw = raw[used:]
	if n < bias {
		return nil, raw, true
	}
	if n -= bias; n > uint64(len(raw)) {
		return nil, nil, false
	}
	return raw[:n:n], raw[n:], true
}
