package metrics

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Figure is a measured number; NaN, null in JSON, where nothing was measured.
type Figure float64

// MarshalJSON writes NaN and infinities as null.
func (f Figure) MarshalJSON() ([]byte, error) {
	if x := float64(f); !math.IsNaN(x) && !math.IsInf(x, 0) {
		return json.Marshal(x)
	}
	return []byte("null"), nil
}

// UnmarshalJSON reads null as NaN.
func (f *Figure) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*f = Figure(math.NaN())
		return nil
	}
	return json.Unmarshal(b, (*float64)(f))
}

func (f Figure) text() string {
	if math.IsNaN(float64(f)) {
		return "–"
	}
	return fmt.Sprintf("%.4f", float64(f))
}

// Names of metrics, as reports have them in JSON. Which there are, and which are measured unless others are asked for, say
// [ImageMetrics] and [PointMetrics].
const (
	ClassAccuracy    = "class_accuracy"
	TrainOnSynthetic = "train_on_synthetic"
	FrechetDistance  = "frechet"
	FrechetAll       = "frechet_all"
	KernelDistance   = "kid"
	Precision        = "precision"
	Recall           = "recall"
	Density          = "density"
	Coverage         = "coverage"
	W2               = "w2"
	SlicedW2         = "sliced_w2"
	EnergyDistance   = "energy_distance"
	MeanDiscrepancy  = "mmd"
	TrainDistance    = "median_train_distance"
)

// Figures are what reports of pictures and of points share. Beside each figure of the samples stands
// that of the held-out data, scored as if they were samples. Distances are of at least 0, shares of 0 to 1.
type Figures struct {
	// Frechet is the squared Fréchet distance to the reference of sets of SetSize, FrechetAll that of all
	// samples at once: what other programs report, which falls as the number of samples grows.
	Frechet           Figure `json:"frechet"`
	FrechetHeldout    Figure `json:"frechet_heldout"`
	FrechetAll        Figure `json:"frechet_all"`
	FrechetAllHeldout Figure `json:"frechet_all_heldout"`
	// FrechetFloor is that of sets drawn from the reference itself: where the scale begins for sets of this size.
	FrechetFloor Figure `json:"frechet_floor"`
	// KID is the mean kernel distance of subsets and KIDDeviation its standard deviation: see [KID]. It has no bias, so that it may be below 0.
	KID                 Figure `json:"kid"`
	KIDHeldout          Figure `json:"kid_heldout"`
	KIDDeviation        Figure `json:"kid_deviation"`
	KIDDeviationHeldout Figure `json:"kid_deviation_heldout"`
	// Precision is the part of samples on the reference's manifold, recall
	// the part of the reference on the samples' (Kynkäänniemi et al. 2019).
	Precision        Figure `json:"precision"`
	PrecisionHeldout Figure `json:"precision_heldout"`
	Recall           Figure `json:"recall"`
	RecallHeldout    Figure `json:"recall_heldout"`
	// Density and Coverage are their robust relatives (Naeem et al. 2020).
	Density         Figure `json:"density"`
	DensityHeldout  Figure `json:"density_heldout"`
	Coverage        Figure `json:"coverage"`
	CoverageHeldout Figure `json:"coverage_heldout"`
	// Distances between sets of TransportSize: 2-Wasserstein, exact and sliced, energy, and squared maximum mean discrepancy without bias.
	W2                    Figure `json:"w2"`
	W2Heldout             Figure `json:"w2_heldout"`
	SlicedW2              Figure `json:"sliced_w2"`
	SlicedW2Heldout       Figure `json:"sliced_w2_heldout"`
	EnergyDistance        Figure `json:"energy_distance"`
	EnergyDistanceHeldout Figure `json:"energy_distance_heldout"`
	MMD                   Figure `json:"mmd"`
	MMDHeldout            Figure `json:"mmd_heldout"`
	// MedianTrainDistance is the median Euclidean distance of a sample, its pixels in [−1,1] or its coordinates, to the nearest of the training data.
	MedianTrainDistance        Figure `json:"median_train_distance"`
	MedianTrainDistanceHeldout Figure `json:"median_train_distance_heldout"`

	Metrics       []string  `json:"metrics"`              // names of those that were measured
	Nearest       int       `json:"nearest"`              // the k of precision, recall, density, coverage
	SetSize       int       `json:"set_size"`             // size of the sets of Fréchet distance, recall and coverage
	Sets          int       `json:"sets"`                 // number of such sets of samples
	SetsHeldout   int       `json:"sets_heldout"`         // and of held-out data
	TransportSize int       `json:"transport_size"`       // size of the sets whose transport, energy distance and discrepancy is measured; 0: none
	KIDSize       int       `json:"kid_size"`             // size of the kernel distance's subsets; 0: none
	Bandwidths    []float64 `json:"bandwidths,omitempty"` // of the kernels of MMD
	Reference     int       `json:"reference"`            // points of the reference's manifold
	Seed          uint64    `json:"seed"`                 // of the choice of sets
}

// row is a line of a report: a figure of the samples, and the same of held-out data.
type row struct {
	metric, title    string
	samples, heldout *Figure
	usual            bool // measured unless metrics are named
}

func (f *Figures) frechet(lower string) []row {
	return []row{
		{FrechetDistance, "Fréchet distance" + lower, &f.Frechet, &f.FrechetHeldout, true},
		{FrechetAll, "Fréchet distance of all", &f.FrechetAll, &f.FrechetAllHeldout, false},
		{KernelDistance, "kernel distance (KID)", &f.KID, &f.KIDHeldout, false},
		{KernelDistance, "  its deviation", &f.KIDDeviation, &f.KIDDeviationHeldout, false},
	}
}

func (f *Figures) manifold() []row {
	return []row{
		{Precision, "precision", &f.Precision, &f.PrecisionHeldout, true},
		{Recall, "recall", &f.Recall, &f.RecallHeldout, true},
		{Density, "density", &f.Density, &f.DensityHeldout, true},
		{Coverage, "coverage", &f.Coverage, &f.CoverageHeldout, true},
	}
}

func (f *Figures) transport(lower string, usual bool) []row {
	return []row{
		{W2, "2-Wasserstein distance" + lower, &f.W2, &f.W2Heldout, usual},
		{SlicedW2, "sliced 2-Wasserstein distance", &f.SlicedW2, &f.SlicedW2Heldout, usual},
		{EnergyDistance, "energy distance", &f.EnergyDistance, &f.EnergyDistanceHeldout, usual},
		{MeanDiscrepancy, "squared MMD", &f.MMD, &f.MMDHeldout, usual},
	}
}

func (f *Figures) nearest() row {
	return row{TrainDistance, "median distance to training", &f.MedianTrainDistance, &f.MedianTrainDistanceHeldout, true}
}

// selection are the names of metrics that are measured.
type selection map[string]bool

// any reports whether one of the metrics is.
func (s selection) any(names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return s[n] })
}

// only and without keep some of the metrics.
func (s selection) only(names ...string) selection {
	out := selection{}
	for _, n := range names {
		if s[n] {
			out[n] = true
		}
	}
	return out
}

func (s selection) without(names ...string) selection {
	out := maps.Clone(s)
	for _, n := range names {
		delete(out, n)
	}
	return out
}

// chosen are the metrics of a report that are named; nil: the usual ones.
func chosen(names []string, rows []row) (selection, error) {
	all, usual := namesOf(rows)
	if names == nil {
		names = usual
	}
	s := selection{}
	for _, n := range names {
		s[n] = true
	}
	return s, CheckMetrics(names, all)
}

var (
	manifolds  = []string{Precision, Recall, Density, Coverage}
	transports = []string{W2, SlicedW2, EnergyDistance, MeanDiscrepancy}
	frechets   = []string{FrechetDistance, FrechetAll}
	// ofPoints need the reference's points, not only their mean and covariance.
	ofPoints = slices.Concat([]string{KernelDistance}, manifolds, transports)
)

// namesOf are the metrics of a report, and those of them that are usual.
func namesOf(rows []row) (all, usual []string) {
	for _, r := range rows {
		if slices.Contains(all, r.metric) {
			continue
		}
		all = append(all, r.metric)
		if r.usual {
			usual = append(usual, r.metric)
		}
	}
	return all, usual
}

// ImageMetrics are the names of the metrics of pictures. Those of the second list are measured unless others
// are asked for; in the features of a network of others, frechet_all and kid are among them.
func ImageMetrics() (all, usual []string) { return namesOf(new(Report).rows()) }

// PointMetrics are those of points.
func PointMetrics() (all, usual []string) { return namesOf(new(PointReport).rows()) }

// CheckMetrics reports names that are none of a list.
func CheckMetrics(names, all []string) error {
	for _, n := range names {
		if !slices.Contains(all, n) {
			return inputError("there is no metric %q here: want some of %s", n, strings.Join(all, ", "))
		}
	}
	return nil
}

// begin makes all figures NaN and notes what is to be measured, in the report's order.
func (f *Figures) begin(rows []row, want selection, seed uint64) {
	f.Nearest, f.Seed, f.Metrics = Nearest, seed, nil
	f.FrechetFloor = Figure(math.NaN())
	for _, r := range rows {
		*r.samples, *r.heldout = f.FrechetFloor, f.FrechetFloor
	}
	all, _ := namesOf(rows)
	for _, n := range all {
		if want[n] {
			f.Metrics = append(f.Metrics, n)
		}
	}
}

// table lists the metrics that were measured.
func (f *Figures) table(note string, rows []row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-32s%12s%12s\n", "", "samples", "held-out")
	for _, r := range rows {
		if slices.Contains(f.Metrics, r.metric) {
			fmt.Fprintf(&b, "%-32s%12s%12s\n", r.title, r.samples.text(), r.heldout.text())
		}
	}
	b.WriteString(note + "\n")
	return b.String()
}
