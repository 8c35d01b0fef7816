package data

import (
	"bytes"
	"encoding/binary"
	"io"
)

// orientation reads how a JPEG is to be turned before it is shown: tag 0x0112 of
// its EXIF part, 1 (as it is) to 8. Cameras store pictures as the sensor saw
// them. A file without the tag, or with one that makes no sense, is shown as it is.
func orientation(r io.Reader) int {
	var soi [2]byte
	if _, err := io.ReadFull(r, soi[:]); err != nil {
		return 1
	}
	for {
		var b [4]byte // a marker and its segment's length
		if _, err := io.ReadFull(r, b[:]); err != nil || b[0] != 0xff {
			return 1
		}
		n := int(binary.BigEndian.Uint16(b[2:])) - 2
		if n < 0 || b[1] == 0xda { // the image itself begins
			return 1
		}
		segment := make([]byte, n)
		if _, err := io.ReadFull(r, segment); err != nil {
			return 1
		}
		if tiff, ok := bytes.CutPrefix(segment, []byte("Exif\x00\x00")); ok && b[1] == 0xe1 {
			return tiffOrientation(tiff)
		}
	}
}

// tiffOrientation looks for the tag in the first directory of a TIFF structure.
func tiffOrientation(t []byte) int {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(t, []byte("II*\x00")):
		order = binary.LittleEndian
	case bytes.HasPrefix(t, []byte("MM\x00*")):
		order = binary.BigEndian
	default:
		return 1
	}
	if len(t) < 8 {
		return 1
	}
	at := uint64(order.Uint32(t[4:]))
	if at+2 > uint64(len(t)) {
		return 1
	}
	entries := t[at+2:]
	for range order.Uint16(t[at:]) {
		if len(entries) < 12 {
			return 1
		}
		const tag, short = 0x0112, 3
		if order.Uint16(entries) == tag {
			v := int(order.Uint16(entries[8:]))
			if order.Uint16(entries[2:]) == short && order.Uint32(entries[4:]) == 1 && v >= 1 && v <= 8 {
				return v
			}
			return 1
		}
		entries = entries[12:]
	}
	return 1
}

// turned tells whether an orientation swaps width and height.
func turned(orientation int) bool { return orientation >= 5 }

// orient turns a picture to be shown upright.
func orient(m bitmap, orientation int) bitmap {
	if orientation == 1 {
		return m
	}
	out := bitmap{m.h, m.w, m.c, make([]uint8, len(m.pix))}
	if turned(orientation) {
		out.h, out.w = m.w, m.h
	}
	for y := range out.h {
		for x := range out.w {
			var fx, fy int
			switch orientation {
			case 2: // mirrored
				fx, fy = m.w-1-x, y
			case 3: // upside down
				fx, fy = m.w-1-x, m.h-1-y
			case 4: // mirrored upside down
				fx, fy = x, m.h-1-y
			case 5: // mirrored along the diagonal
				fx, fy = y, x
			case 6: // to be turned clockwise
				fx, fy = y, m.h-1-x
			case 7: // mirrored along the other diagonal
				fx, fy = m.w-1-y, m.h-1-x
			case 8: // to be turned counter-clockwise
				fx, fy = m.w-1-y, x
			}
			copy(out.pix[(y*out.w+x)*m.c:][:m.c], m.pix[(fy*m.w+fx)*m.c:])
		}
	}
	return out
}
