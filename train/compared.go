package train

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/langevin-go/langevin/train/metrics"
)

// Compared is a model's quality and latency with so many evaluations.
type Compared struct {
	Run         string  `json:"run"`
	Method      string  `json:"method"` // of distillation; of others, the objective
	Student     bool    `json:"student"`
	Sampler     string  `json:"sampler"`
	Asked       int     `json:"nfe"` // the most evaluations
	Steps       int     `json:"steps"`
	Evaluations int     `json:"evaluations"` // of the model, guidance included, a sample
	Guidance    float64 `json:"guidance"`    // the scale, built in or not

	Distance metrics.Figure `json:"teacher_distance"` // root mean square, of numbers, to the teacher's sample from the same start; NaN: there is no teacher
	NLL      metrics.Figure `json:"nll"`              // mean of −ln p of samples under the data's own density, in nats a sample; NaN: it is not known
	NLLHeld  metrics.Figure `json:"nll_heldout"`      // of held-out data: the entropy, but for chance
	Outside  metrics.Figure `json:"outside"`          // part of the samples where that density is 0, which are not in the mean
	Rare     metrics.Figure `json:"rare_mass"`        // part of the samples in the rarest mode, or class; NaN: none are known
	RareData metrics.Figure `json:"rare_mass_data"`   // its share of the data
	Coverage metrics.Figure `json:"mode_coverage"`    // the least, over modes or classes, of their part of the samples over that of the data; NaN: none are known
	Modes    []Mode         `json:"modes,omitempty"`  // of mixtures the components, of pictures the classes

	Images *metrics.Report      `json:"-"` // its figures stand beside these
	Points *metrics.PointReport `json:"-"`

	Latency *Latency `json:"latency_ms,omitempty"` // of a request
	Best    bool     `json:"best"`                 // of the solvers of a model, at these evaluations
}

// Mode is a part of the data.
type Mode struct {
	Share metrics.Figure `json:"share"` // of the samples
	Data  metrics.Figure `json:"data"`  // of the data
}

// Latency is how long requests take, in milliseconds.
type Latency struct {
	Median float64 `json:"median"`
	P99    float64 `json:"p99"`
	Max    float64 `json:"max"`
}

// Headline is the figure that models are compared by, and what it is called: the Fréchet distance of pictures, the 2-Wasserstein distance of points.
func (c *Compared) Headline() (value, heldout float64, name string) {
	if c.Images != nil {
		return float64(c.Images.Frechet), float64(c.Images.FrechetHeldout), "Fréchet distance"
	}
	return float64(c.Points.W2), float64(c.Points.W2Heldout), "2-Wasserstein distance"
}

// MarshalJSON has the figures of eval beside the others, as plot quality reads them.
func (c Compared) MarshalJSON() ([]byte, error) {
	type bare Compared
	if c.Images != nil {
		return json.Marshal(struct {
			bare
			*metrics.Report
		}{bare(c), c.Images})
	}
	return json.Marshal(struct {
		bare
		*metrics.PointReport
	}{bare(c), c.Points})
}

// rarest takes the part in the mode that the data have least of; of several, the one that the samples have least of; and how far the mode is covered that is
// covered least.
func (r *Compared) rarest() {
	least := math.Inf(1)
	for _, m := range r.Modes {
		if m.Data > 0 {
			least = min(least, float64(m.Share/m.Data))
		}
	}
	r.Coverage = metrics.Figure(least)
	m := slices.MinFunc(r.Modes, func(a, b Mode) int {
		return cmp.Or(cmp.Compare(a.Data, b.Data), cmp.Compare(a.Share, b.Share))
	})
	r.Rare, r.RareData = m.Share, m.Data
}

// markBest marks the row with the least headline of each model and number of evaluations.
func markBest(rows []Compared) {
	best := map[string]int{}
	for i := range rows {
		key := fmt.Sprintf("%d %s", rows[i].Asked, rows[i].Run)
		now, _, _ := rows[i].Headline()
		if j, ok := best[key]; ok {
			if was, _, _ := rows[j].Headline(); !(now < was) {
				continue
			}
			rows[j].Best = false
		}
		best[key], rows[i].Best = i, true
	}
}
