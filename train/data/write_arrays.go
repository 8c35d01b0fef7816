package data

import (
	"encoding/binary"
	"io"
	"math"

	"github.com/langevin-go/langevin/internal/npz"
	"github.com/langevin-go/langevin/internal/safetensors"
)

// npz writes arrays samples (u1 of pictures of bytes, else f4), labels (i8) and vectors (f4).
func (w *writer) npz(path string) error {
	samples := npz.Entry{Name: "samples", DType: "<f4", Shape: append([]int{w.n}, w.s.Shape()...), Data: func(f io.Writer) error { return w.samples(f, false) }}
	if ofBytes(w.s) {
		samples.DType = "|u1"
	}
	arrays := []npz.Entry{samples}
	if w.s.Classes() > 0 {
		arrays = append(arrays, npz.Entry{Name: "labels", DType: "<i8", Shape: []int{w.n}, Data: w.labels})
	}
	if size := VectorSize(w.s); size > 0 {
		arrays = append(arrays, npz.Entry{Name: "vectors", DType: "<f4", Shape: []int{w.n, size}, Data: w.vectors})
	}
	return npz.Write(path, arrays...)
}

// safetensors writes tensors of the same names, pictures channels first.
func (w *writer) safetensors(path string) error {
	shape, dtype := append([]int{w.n}, w.s.Shape()...), safetensors.F32
	if len(shape) == 4 {
		shape = []int{w.n, shape[3], shape[1], shape[2]}
	}
	if ofBytes(w.s) {
		dtype = safetensors.U8
	}
	entries := []safetensors.Entry{{Name: "samples", DType: dtype, Shape: shape, Data: func(f io.Writer) error { return w.samples(f, len(shape) == 4) }}}
	if w.s.Classes() > 0 {
		entries = append(entries, safetensors.Entry{Name: "labels", DType: safetensors.I64, Shape: []int{w.n}, Data: w.labels})
	}
	if size := VectorSize(w.s); size > 0 {
		entries = append(entries, safetensors.Entry{Name: "vectors", DType: safetensors.F32, Shape: []int{w.n, size}, Data: w.vectors})
	}
	return safetensors.WriteFile(path, entries, nil)
}

// samples writes the samples' numbers, bytes of pictures of bytes.
func (w *writer) samples(f io.Writer, channelsFirst bool) error {
	size, bytes := volume(w.s.Shape()), ofBytes(w.s)
	row := make([]byte, 0, 4*size)
	return w.chunks(func(_ int, x []float32, _ []int32) error {
		for ; len(x) > 0; x = x[size:] {
			row = row[:0]
			for k := range size {
				v := x[k]
				if channelsFirst {
					c := w.s.Shape()[2]
					v = x[k%(size/c)*c+k/(size/c)]
				}
				if bytes {
					row = append(row, Byte(v))
				} else {
					row = binary.LittleEndian.AppendUint32(row, math.Float32bits(v))
				}
			}
			if _, err := f.Write(row); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *writer) labels(f io.Writer) error {
	space := make([]float32, volume(w.s.Shape()))
	label := Label
	if _, tolerates := CorruptSamples(w.s); tolerates { // which samples are corrupt only reading tells
		label = func(s Source, i uint64, space []float32) (int, error) { return s.Sample(i, space) }
	}
	for i := range w.n {
		l, err := label(w.s, uint64(w.first+i), space)
		if err != nil {
			return err
		}
		if _, err := f.Write(binary.LittleEndian.AppendUint64(nil, uint64(l))); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) vectors(f io.Writer) error {
	of, _ := VectorsOf(w.s)
	v := make([]float32, of.VectorSize())
	for i := range w.n {
		of.Vector(uint64(w.first+i), v)
		var row []byte
		for _, x := range v {
			row = binary.LittleEndian.AppendUint32(row, math.Float32bits(x))
		}
		if _, err := f.Write(row); err != nil {
			return err
		}
	}
	return nil
}
