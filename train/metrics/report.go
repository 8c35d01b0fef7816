package metrics

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
)

// Figure is a measured number; NaN, null in JSON, where there is nothing to measure.
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

// Report is what Evaluate measures. Beside each figure of the samples stands
// that of the held-out pictures, scored as if they were samples. Distances are of at least 0, shares of 0 to 1.
type Report struct {
	N        int `json:"n"`         // samples
	NHeldout int `json:"n_heldout"` // held-out pictures
	NTrain   int `json:"n_train"`   // training pictures

	// ClassAccuracy is the part of samples that the classifier takes for the class
	// asked for; of held-out pictures it is the classifier's own accuracy. NaN without labels.
	ClassAccuracy        Figure `json:"class_accuracy"`
	ClassAccuracyHeldout Figure `json:"class_accuracy_heldout"`
	// Frechet is the squared Fréchet distance to the training pictures in features
	// whose variance, over the training pictures, is 1 on average over the dimensions.
	Frechet        Figure `json:"frechet"`
	FrechetHeldout Figure `json:"frechet_heldout"`
	// FrechetFloor is that of sets drawn from the training pictures themselves: where the scale begins for sets of this size.
	FrechetFloor Figure `json:"frechet_floor"`
	// Precision is the part of samples on the training pictures' manifold, recall
	// the part of training pictures on the samples' (Kynkäänniemi et al. 2019).
	Precision        Figure `json:"precision"`
	PrecisionHeldout Figure `json:"precision_heldout"`
	Recall           Figure `json:"recall"`
	RecallHeldout    Figure `json:"recall_heldout"`
	// Density and Coverage are their robust relatives (Naeem et al. 2020).
	Density         Figure `json:"density"`
	DensityHeldout  Figure `json:"density_heldout"`
	Coverage        Figure `json:"coverage"`
	CoverageHeldout Figure `json:"coverage_heldout"`
	// MedianTrainDistance is the median Euclidean distance of a sample's pixels, in [−1,1], to those
	// of the nearest training picture.
	MedianTrainDistance        Figure `json:"median_train_distance"`
	MedianTrainDistanceHeldout Figure `json:"median_train_distance_heldout"`

	ClassAccuracyByClass []Figure `json:"class_accuracy_by_class,omitempty"` // NaN: no sample asked for it

	Features    string `json:"features"`     // what sets are compared in: "classifier", or "pixels" without labels
	FeatureDim  int    `json:"feature_dim"`  // number of features
	Nearest     int    `json:"nearest"`      // the k of precision, recall, density, coverage
	SetSize     int    `json:"set_size"`     // size of the sets of Fréchet distance, recall and coverage
	Sets        int    `json:"sets"`         // number of such sets of samples
	SetsHeldout int    `json:"sets_heldout"` // and of held-out pictures
	Reference   int    `json:"reference"`    // training pictures in the manifold
	Seed        uint64 `json:"seed"`         // of the choice of sets
	Trained     bool   `json:"-"`            // the classifier was trained for this report
}

// String is a table for people.
func (r Report) String() string {
	return table(fmt.Sprintf("%d samples, %d held-out and %d training pictures; Fréchet distance (%.4f for training pictures), recall and coverage of sets of %d; features: %s",
		r.N, r.NHeldout, r.NTrain, float64(r.FrechetFloor), r.SetSize, r.Features),
		line{"class accuracy", r.ClassAccuracy, r.ClassAccuracyHeldout},
		line{"Fréchet distance (lower)", r.Frechet, r.FrechetHeldout},
		line{"precision", r.Precision, r.PrecisionHeldout},
		line{"recall", r.Recall, r.RecallHeldout},
		line{"density", r.Density, r.DensityHeldout},
		line{"coverage", r.Coverage, r.CoverageHeldout},
		line{"median distance to training", r.MedianTrainDistance, r.MedianTrainDistanceHeldout})
}

// PointReport is what EvaluatePoints measures: distances between the samples'
// distribution and the data's, and between held-out data and the data.
type PointReport struct {
	N        int `json:"n"`
	NHeldout int `json:"n_heldout"`
	NTrain   int `json:"n_train"`

	W2                    Figure `json:"w2"` // 2-Wasserstein distance
	W2Heldout             Figure `json:"w2_heldout"`
	SlicedW2              Figure `json:"sliced_w2"`
	SlicedW2Heldout       Figure `json:"sliced_w2_heldout"`
	EnergyDistance        Figure `json:"energy_distance"`
	EnergyDistanceHeldout Figure `json:"energy_distance_heldout"`
	MMD                   Figure `json:"mmd"` // squared, without bias: below 0 by chance
	MMDHeldout            Figure `json:"mmd_heldout"`

	// As in Report, with the coordinates, divided by one number, as features.
	Frechet                    Figure `json:"frechet"`
	FrechetHeldout             Figure `json:"frechet_heldout"`
	Precision                  Figure `json:"precision"`
	PrecisionHeldout           Figure `json:"precision_heldout"`
	Recall                     Figure `json:"recall"`
	RecallHeldout              Figure `json:"recall_heldout"`
	Density                    Figure `json:"density"`
	DensityHeldout             Figure `json:"density_heldout"`
	Coverage                   Figure `json:"coverage"`
	CoverageHeldout            Figure `json:"coverage_heldout"`
	MedianTrainDistance        Figure `json:"median_train_distance"` // in the coordinates themselves
	MedianTrainDistanceHeldout Figure `json:"median_train_distance_heldout"`

	Dim         int       `json:"dim"`
	Nearest     int       `json:"nearest"`
	Bandwidths  []float64 `json:"bandwidths"` // of the kernels of MMD
	SetSize     int       `json:"set_size"`
	Sets        int       `json:"sets"`
	SetsHeldout int       `json:"sets_heldout"`
	Reference   int       `json:"reference"`
	Seed        uint64    `json:"seed"`
}

// String is a table for people.
func (r PointReport) String() string {
	return table(fmt.Sprintf("%d samples, %d held-out and %d training points; sets of %d", r.N, r.NHeldout, r.NTrain, r.SetSize),
		line{"2-Wasserstein distance (lower)", r.W2, r.W2Heldout},
		line{"sliced 2-Wasserstein distance", r.SlicedW2, r.SlicedW2Heldout},
		line{"energy distance", r.EnergyDistance, r.EnergyDistanceHeldout},
		line{"squared MMD", r.MMD, r.MMDHeldout},
		line{"Fréchet distance", r.Frechet, r.FrechetHeldout},
		line{"precision", r.Precision, r.PrecisionHeldout},
		line{"recall", r.Recall, r.RecallHeldout},
		line{"density", r.Density, r.DensityHeldout},
		line{"coverage", r.Coverage, r.CoverageHeldout},
		line{"median distance to training", r.MedianTrainDistance, r.MedianTrainDistanceHeldout})
}

// line is a line of a table: a name and its two figures.
type line struct {
	name             string
	samples, heldout Figure
}

func table(note string, lines ...line) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-32s%12s%12s\n", "", "samples", "held-out")
	for _, l := range lines {
		fmt.Fprintf(&b, "%-32s%12s%12s\n", l.name, l.samples.text(), l.heldout.text())
	}
	b.WriteString(note + "\n")
	return b.String()
}

func (f Figure) text() string {
	if math.IsNaN(float64(f)) {
		return "–"
	}
	return fmt.Sprintf("%.4f", float64(f))
}
