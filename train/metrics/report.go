package metrics

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Report is what Evaluate measures.
type Report struct {
	N        int `json:"n"`         // samples
	NHeldout int `json:"n_heldout"` // held-out pictures
	NTrain   int `json:"n_train"`   // training pictures

	// ClassAccuracy is the part of samples that the classifier takes for the class
	// asked for; of held-out pictures it is the classifier's own accuracy. NaN without labels.
	ClassAccuracy        Figure `json:"class_accuracy"`
	ClassAccuracyHeldout Figure `json:"class_accuracy_heldout"`
	// TrainOnSynthetic is the part of held-out pictures whose class a classifier finds that was trained on samples alone
	// (Ravuri and Vinyals 2019, "Classification accuracy score"); beside it, one trained on as many training pictures.
	TrainOnSynthetic        Figure `json:"train_on_synthetic"`
	TrainOnSyntheticHeldout Figure `json:"train_on_synthetic_heldout"`

	Figures

	ClassAccuracyByClass []Figure `json:"class_accuracy_by_class,omitempty"` // NaN: no sample asked for it

	Features      string `json:"features"`                 // what sets are compared in: "classifier", "pixels" without labels, or a network's name
	FeatureDim    int    `json:"feature_dim"`              // number of features
	FeatureHash   string `json:"feature_hash,omitempty"`   // SHA-256 of the network's weights
	ReferenceFile string `json:"reference_file,omitempty"` // statistics that stand for the training pictures; empty: none
	Trained       bool   `json:"-"`                        // the classifier was trained for this report
}

// rows are the lines of the report.
func (r *Report) rows() []row {
	return slices.Concat([]row{
		{ClassAccuracy, "class accuracy", &r.ClassAccuracy, &r.ClassAccuracyHeldout, true},
		{TrainOnSynthetic, "accuracy of training on them", &r.TrainOnSynthetic, &r.TrainOnSyntheticHeldout, false},
	}, r.frechet(" (lower)"), r.manifold(), r.transport("", false), []row{r.nearest()})
}

// String is a table for people.
func (r Report) String() string {
	what := fmt.Sprintf("%d samples, %d held-out and %d training pictures", r.N, r.NHeldout, r.NTrain)
	if r.ReferenceFile != "" {
		what += ", compared with " + r.ReferenceFile
	}
	var sets []string
	if slices.Contains(r.Metrics, FrechetDistance) {
		d := "Fréchet distance"
		if !math.IsNaN(float64(r.FrechetFloor)) {
			d += fmt.Sprintf(" (%.4f for training pictures)", float64(r.FrechetFloor))
		}
		sets = append(sets, d)
	}
	for _, n := range []string{Recall, Coverage} {
		if slices.Contains(r.Metrics, n) {
			sets = append(sets, n)
		}
	}
	if len(sets) > 0 {
		last := len(sets) - 1
		all := sets[last]
		if last > 0 {
			all = strings.Join(sets[:last], ", ") + " and " + all
		}
		what += fmt.Sprintf("; %s of sets of %d", all, r.SetSize)
	}
	if r.Features != "" {
		what += "; features: " + r.Features
		if r.FeatureHash != "" {
			what += fmt.Sprintf(" (%d, weights %.8s)", r.FeatureDim, r.FeatureHash)
		}
	}
	return r.table(what, r.rows())
}

// PointReport is what EvaluatePoints measures: distances between the samples'
// distribution and the data's, and between held-out data and the data. Fréchet distance, precision and their like are of the
// coordinates, divided by one number.
type PointReport struct {
	N        int `json:"n"`
	NHeldout int `json:"n_heldout"`
	NTrain   int `json:"n_train"`

	Figures

	Dim int `json:"dim"`
}

func (r *PointReport) rows() []row {
	return slices.Concat(r.transport(" (lower)", true), r.frechet(""), r.manifold(), []row{r.nearest()})
}

// String is a table for people.
func (r PointReport) String() string {
	return r.table(fmt.Sprintf("%d samples, %d held-out and %d training points; sets of %d", r.N, r.NHeldout, r.NTrain, r.SetSize), r.rows())
}
