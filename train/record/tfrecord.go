package record

import (
	"encoding/binary"
	"hash/crc32"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// frame wraps a message as a TFRecord.
func frame(m []byte) []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, len(m)+16), uint64(len(m)))
	b = binary.LittleEndian.AppendUint32(b, maskedCRC(b))
	b = append(b, m...)
	return binary.LittleEndian.AppendUint32(b, maskedCRC(m))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedCRC is rotr(crc, 15) + a constant, because a CRC of data that contains
// CRCs is weak (tensorflow/core/lib/hash/crc32c.h).
func maskedCRC(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// The append functions for numbers leave out zeros, as proto3 does.

func appendVarint(b []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func appendBytes(b []byte, field protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
}

func appendString(b []byte, field protowire.Number, v string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), v)
}

func appendDouble(b []byte, field protowire.Number, v float64) []byte {
	bits := math.Float64bits(v)
	if bits == 0 {
		return b
	}
	return protowire.AppendFixed64(protowire.AppendTag(b, field, protowire.Fixed64Type), bits)
}

func appendDoubles(b []byte, field protowire.Number, vs []float64) []byte {
	packed := make([]byte, 0, 8*len(vs))
	for _, v := range vs {
		packed = protowire.AppendFixed64(packed, math.Float64bits(v))
	}
	return appendBytes(b, field, packed)
}
