package metrics

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/mat"
	gt "gorgonia.org/tensor"

	"github.com/langevin-go/langevin/internal/badfile"
	"github.com/langevin-go/langevin/internal/npz"
	"github.com/langevin-go/langevin/tensor/gorgonia"
)

// Statistics describe features of a set of pictures, such that others can be compared with it without the
// pictures: their mean and covariance, and perhaps some of the features.
type Statistics struct {
	Gaussian
	Points  Points // features, at most MaxReference of them; none (D 0): only mean and covariance are known
	N       int    // pictures that these are of; 0: not known
	Network string // what the features are of: "inception", "classifier"; empty: not known
	Hash    string // of the network's weights; empty: not known
	Path    string // the file that they were read from; empty: none
}

// Names of arrays in files of statistics. pytorch-fid has mu and sigma, as have many others' files.
const (
	arrayMean   = "mu"
	arrayCov    = "sigma"
	arrayPoints = "features"
	arrayAbout  = "langevin"
)

// statisticsAbout is the array langevin: bytes of JSON.
type statisticsAbout struct {
	Format   int    `json:"format"`
	Features string `json:"features"`
	Hash     string `json:"hash"`
	N        int    `json:"n"`
}

const statisticsFormat = 1

// maxAbout bounds the description, in bytes.
const maxAbout = 1 << 16

// WriteStatistics writes an .npz file, whole or not at all: mu (d) and sigma (d,d) of float64 as pytorch-fid writes and reads
// them, features (n,d) of float32 if there are any, and langevin, bytes that say in JSON what they are of.
func WriteStatistics(path string, s *Statistics) error {
	d := len(s.Mean)
	about, err := json.Marshal(statisticsAbout{statisticsFormat, s.Network, s.Hash, s.N})
	if err != nil {
		return err
	}
	arrays := []npz.Entry{
		{Name: arrayMean, DType: "<f8", Shape: []int{d}, Data: func(w io.Writer) error { return writeFloat64s(w, s.Mean) }},
		{Name: arrayCov, DType: "<f8", Shape: []int{d, d}, Data: func(w io.Writer) error {
			row := make([]float64, d)
			for i := range d {
				for j := range row {
					row[j] = s.Cov.At(i, j)
				}
				if err := writeFloat64s(w, row); err != nil {
					return err
				}
			}
			return nil
		}},
		{Name: arrayAbout, DType: "|u1", Shape: []int{len(about)}, Data: func(w io.Writer) error { _, err := w.Write(about); return err }},
	}
	if s.Points.D > 0 {
		arrays = append(arrays, npz.Entry{Name: arrayPoints, DType: "<f4", Shape: []int{s.Points.Len(), s.Points.D}, Data: func(w io.Writer) error {
			var b []byte
			for part := range slices.Chunk(s.Points.X, 1<<12) {
				b = b[:0]
				for _, x := range part {
					b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
				}
				if _, err := w.Write(b); err != nil {
					return err
				}
			}
			return nil
		}})
	}
	return npz.Write(path, arrays...)
}

func writeFloat64s(w io.Writer, values []float64) error {
	b := make([]byte, 0, 8*len(values))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	_, err := w.Write(b)
	return err
}

// ReadStatistics reads an .npz file with the arrays mu and sigma of float32 or float64, as pytorch-fid and others
// write it, and what WriteStatistics adds, if it is there. Errors are a [FileError].
func ReadStatistics(path string) (*Statistics, error) {
	a, file, err := npz.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readStatistics(a, path)
}

func readStatistics(a *npz.Archive, path string) (*Statistics, error) {
	for _, name := range []string{arrayMean, arrayCov} {
		if !a.Has(name) {
			return nil, badfile.New(path, ErrFormat, "has no array %q: want mu and sigma, the mean and the covariance of features; it has %s", name, strings.Join(a.Names(), ", "))
		}
	}
	mean, where, shape, err := floatArray(a, arrayMean)
	if err != nil {
		return nil, err
	}
	if len(shape) != 1 {
		return nil, badfile.New(where, ErrFormat, "the array has shape %v, want (d)", shape)
	}
	d := len(mean)
	cov, where, shape, err := floatArray(a, arrayCov)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(shape, []int{d, d}) {
		return nil, badfile.New(where, ErrFormat, "the array has shape %v, want (%d, %d): mu has %d numbers", shape, d, d, d)
	}
	if err := checkCovariance(cov, d, where); err != nil {
		return nil, err
	}
	s := &Statistics{Gaussian: Gaussian{Mean: mean, Cov: mat.NewSymDense(d, cov)}, Path: path}
	if err := s.readAbout(a); err != nil {
		return nil, err
	}
	return s, s.readPoints(a)
}

// checkCovariance refuses what is no covariance; the halves of one may differ by rounding.
func checkCovariance(cov []float64, d int, where string) error {
	largest := 0.0
	for i := range d {
		v := cov[i*d+i]
		if v < 0 {
			return badfile.New(where, ErrFormat, "the variance of feature %d is %g: want none below 0", i, v)
		}
		largest = max(largest, v)
	}
	for i := range d {
		for j := range i {
			if math.Abs(cov[i*d+j]-cov[j*d+i]) > 1e-5*largest {
				return badfile.New(where, ErrFormat, "elements (%d, %d) and (%d, %d) are %g and %g: a covariance is symmetric", i, j, j, i, cov[i*d+j], cov[j*d+i])
			}
		}
	}
	return nil
}

// floatArray reads an array of finite numbers.
func floatArray(a *npz.Archive, name string) (v []float64, where string, shape []int, err error) {
	x, err := a.Read(name)
	if err != nil {
		return nil, "", nil, err
	}
	shape = []int(x.Shape())
	switch x.Dtype() {
	case gt.Float64:
		_, v, err = gorgonia.Slice[float64](x.Dense)
	case gt.Float32:
		var narrow []float32
		_, narrow, err = gorgonia.Slice[float32](x.Dense)
		v = make([]float64, len(narrow))
		for i, n := range narrow {
			v[i] = float64(n)
		}
	default:
		return nil, "", nil, badfile.New(x.Where, ErrFormat, "the elements are %v, want float32 or float64", x.Dtype())
	}
	if err != nil {
		return nil, "", nil, err
	}
	for i, n := range v {
		if !(math.Abs(n) <= 1e15) {
			return nil, "", nil, badfile.New(x.Where, ErrFormat, "element %d is %v: want finite numbers of moderate size", i, n)
		}
	}
	return v, x.Where, shape, nil
}

func (s *Statistics) readAbout(a *npz.Archive) error {
	if !a.Has(arrayAbout) {
		return nil
	}
	x, err := a.Read(arrayAbout)
	if err != nil {
		return err
	}
	if x.Dtype() != gt.Uint8 || x.Dims() != 1 || x.Shape()[0] > maxAbout {
		return badfile.New(x.Where, ErrFormat, "is %v of shape %v, want at most %d bytes", x.Dtype(), x.Shape(), maxAbout)
	}
	_, text, err := gorgonia.Slice[uint8](x.Dense)
	if err != nil {
		return err
	}
	var about statisticsAbout
	if err := json.Unmarshal(text, &about); err != nil {
		return badfile.New(x.Where, ErrFormat, "cannot be read: %v", err)
	}
	if about.Format != statisticsFormat || about.N < 0 {
		return badfile.New(x.Where, ErrFormat, "has format %d and n %d, want format %d and no negative n", about.Format, about.N, statisticsFormat)
	}
	s.Network, s.Hash, s.N = about.Features, about.Hash, about.N
	return nil
}

func (s *Statistics) readPoints(a *npz.Archive) error {
	if !a.Has(arrayPoints) {
		return nil
	}
	x, err := a.Read(arrayPoints)
	if err != nil {
		return err
	}
	if x.Dtype() != gt.Float32 || x.Dims() != 2 || x.Shape()[1] != len(s.Mean) {
		return badfile.New(x.Where, ErrFormat, "is %v of shape %v, want float32 of (n, %d)", x.Dtype(), x.Shape(), len(s.Mean))
	}
	_, v, err := gorgonia.Slice[float32](x.Dense)
	if err != nil {
		return err
	}
	p := Points{v, len(s.Mean)}
	if n := p.Len(); n > MaxReference {
		return badfile.New(x.Where, ErrFormat, "has %d features, want at most %d", n, MaxReference)
	}
	if err := p.finite("features"); err != nil {
		return badfile.New(x.Where, ErrFormat, "%v", err)
	}
	s.Points = p
	return nil
}

// fits refuses statistics of other features than those that are to be compared with them.
func (s *Statistics) fits(network, hash string, dim int) error {
	what := s.Path
	if what == "" {
		what = "reference"
	}
	switch {
	case s.Network != "" && s.Network != network:
		return inputError("%s: statistics of features of %s, not of %s", what, s.Network, network)
	case len(s.Mean) != dim:
		return inputError("%s: statistics of %d features, and %s has %d: they are another network's", what, len(s.Mean), network, dim)
	case s.Hash != "" && hash != "" && s.Hash != hash:
		return inputError("%s: statistics of the features of %s with other weights (%.8s, not %.8s)", what, network, s.Hash, hash)
	}
	return nil
}

// reference is what sets are compared with.
func (s *Statistics) reference() *reference {
	return &reference{gaussian: s.Gaussian, points: s.Points, all: s.Points}
}
