package data

import (
	"encoding/binary"
	"math"

	"github.com/langevin-go/langevin/internal/badfile"
	"github.com/langevin-go/langevin/internal/safetensors"
)

// Safetensors names the tensors of a data set in one safetensors file.
type Safetensors struct {
	Path string
	// Samples is a tensor of points (N,D), or of pictures (N,C,H,W), or with ChannelsLast (N,H,W,C); (N,H,W) are grey ones. U8 are
	// pixels 0 to 255, scaled to [−1, 1]; F32, F16, BF16 and F64 are taken as they are and must be finite.
	Samples      string
	ChannelsLast bool
	// Labels is a tensor of N whole numbers, Vectors one of (N,D) numbers that networks are conditioned on. Empty: none; [Auto], of Labels: labels, if it is there.
	Labels, Vectors string
	// Classes is the number of classes; 0: one more than the highest label.
	Classes int
	// Memory bounds the bytes of samples that are kept in memory; more stay in the file, and each is read when it is asked for. 0: 2 GiB; negative: none are kept.
	Memory int64
}

// OpenSafetensors reads labels and vectors, and samples if they fit into memory.
func OpenSafetensors(o Safetensors) (Source, error) {
	switch {
	case o.Path == "":
		return nil, option("the path of the file is empty")
	case o.Samples == "":
		return nil, option("the name of the tensor of samples is empty")
	case o.Classes < 0:
		return nil, option("%d classes: want at least 1, or 0 to count them", o.Classes)
	}
	if o.Memory == 0 {
		o.Memory = 2 << 30
	}
	file, s, err := openShard(o.Path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	f, err := safetensors.New(file, s.size, o.Path)
	if err != nil {
		return nil, err
	}
	t, err := f.Tensor(o.Samples)
	if err != nil {
		return nil, err
	}
	bad := func(kind error, t *safetensors.Tensor, format string, args ...any) error {
		return badfile.New(o.Path, kind, format, args...).In(`tensor "` + t.Name + `"`)
	}
	r := &rows{file: s, n: t.Shape[0], dtype: t.DType}
	switch d := t.Shape; {
	case len(d) == 2:
		r.shape = []int{d[1]}
	case len(d) == 3:
		r.shape = []int{d[1], d[2], 1}
	case len(d) == 4 && o.ChannelsLast:
		r.shape = []int{d[1], d[2], d[3]}
	case len(d) == 4:
		r.shape, r.planes = []int{d[2], d[3], d[1]}, d[1] > 1
	default:
		return nil, bad(ErrFormat, t, "has shape %v, want (N,D), (N,H,W) or (N,C,H,W)", d)
	}
	switch t.DType {
	case safetensors.U8, safetensors.F32, safetensors.F64, safetensors.F16, safetensors.BF16:
	default:
		return nil, bad(ErrFormat, t, "is of %s, want U8, F32, F16, BF16 or F64", t.DType)
	}
	r.scale, r.size = pixelScale(255), volume(r.shape)
	if r.n == 0 || r.size == 0 {
		return nil, bad(ErrEmpty, t, "has shape %v: no samples", t.Shape)
	}
	_, r.at, _ = t.Reader().Outer()
	if int64(r.n)*int64(r.size*t.DType.Size()) <= o.Memory {
		if r.data, err = t.Bytes(); err != nil {
			return nil, err
		}
	}
	if o.Labels == Auto {
		o.Labels = ""
		if f.Has("labels") {
			o.Labels = "labels"
		}
	}
	if o.Labels != "" {
		t, err := f.Tensor(o.Labels)
		if err != nil {
			return nil, err
		}
		if len(t.Shape) != 1 || t.Shape[0] != r.n {
			return nil, bad(ErrLabels, t, "has shape %v, want (%d): one for each sample", t.Shape, r.n)
		}
		labels, err := t.Int64s()
		if err != nil {
			return nil, err
		}
		if r.labels, r.classes, err = checkLabels(labels, o.Classes, o.Path, func(int) int64 { return -1 }); err != nil {
			return nil, err
		}
	}
	if o.Vectors != "" {
		t, err := f.Tensor(o.Vectors)
		if err != nil {
			return nil, err
		}
		if len(t.Shape) < 1 || len(t.Shape) > 2 || t.Shape[0] != r.n {
			return nil, bad(ErrFormat, t, "has shape %v, want (%d,D): a vector for each sample", t.Shape, r.n)
		}
		if r.vectors, err = t.Float32s(); err != nil {
			return nil, err
		}
		for i, v := range r.vectors {
			if v-v != 0 {
				return nil, bad(ErrFormat, t, "element %d is %v: want finite float32 numbers", i, v)
			}
		}
	}
	return r, nil
}

// rows is a source of numbers as they stand in a file, from byte at on; in memory, or read when they are asked for.
type rows struct {
	file    *shard
	at      int64
	dtype   safetensors.DType
	n, size int
	shape   []int
	planes  bool   // channels first in the file
	data    []byte // nil: in the file
	scale   *[256]float32
	labels  []int32
	classes int
	vectors []float32
}

func (r *rows) Len() int        { return r.n }
func (r *rows) Shape() []int    { return r.shape }
func (r *rows) Classes() int    { return r.classes }
func (r *rows) Streams() bool   { return r.data == nil }
func (r *rows) VectorSize() int { return len(r.vectors) / r.n }

// Levels are those of bytes.
func (r *rows) Levels() int {
	if r.dtype == safetensors.U8 {
		return 256
	}
	return 0
}

// Label is the class of sample i.
func (r *rows) Label(i uint64) int {
	if r.labels == nil {
		return 0
	}
	return int(r.labels[i])
}

// Vector writes that of sample i.
func (r *rows) Vector(i uint64, v []float32) { copy(v, r.vectors[int(i)*len(v):]) }

func (r *rows) Sample(i uint64, x []float32) (int, error) {
	checkCall(r, i, x)
	width := r.dtype.Size()
	bytes := int64(r.size * width)
	var b []byte
	if r.data != nil {
		b = r.data[int64(i)*bytes:][:bytes]
	} else {
		room := darkrooms.Get().(*darkroom)
		defer darkrooms.Put(room)
		if int64(cap(room.file)) < bytes {
			room.file = make([]byte, bytes)
		}
		b = room.file[:bytes]
		if _, err := r.file.ReadAt(b, r.at+int64(i)*bytes); err != nil {
			return 0, badfile.Read(r.file.path, err)
		}
	}
	le := binary.LittleEndian
	pixels, channels := r.size, 1
	if r.planes {
		channels = r.shape[2]
		pixels = r.size / channels
	}
	for k := range x {
		to := k // sample's element k stands here in x
		if r.planes {
			to = k%pixels*channels + k/pixels
		}
		switch r.dtype {
		case safetensors.U8:
			x[to] = r.scale[b[k]]
			continue
		case safetensors.F32:
			x[to] = math.Float32frombits(le.Uint32(b[4*k:]))
		case safetensors.F64:
			x[to] = float32(math.Float64frombits(le.Uint64(b[8*k:])))
		case safetensors.F16:
			x[to] = safetensors.Float16(le.Uint16(b[2*k:]))
		case safetensors.BF16:
			x[to] = math.Float32frombits(uint32(le.Uint16(b[2*k:])) << 16)
		}
		if v := x[to]; v-v != 0 {
			return 0, badfile.At(r.file.path, r.at+int64(i)*bytes+int64(k*width), ErrFormat, "element %d of sample %d is %v: want finite float32 numbers", k, i, v)
		}
	}
	return r.Label(i), nil
}
