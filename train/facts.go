package train

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/langevin-go/langevin/diffusion/sampler"
)

// trialRequest asks for one sample under any condition that the model has.
func (d *Drawer) trialRequest() Request {
	q := Request{N: 1}
	if d.Classes > 0 {
		q.Labels = make([]int32, 1)
	}
	if d.Vector > 0 {
		q.Vectors = make([]float32, d.Vector)
	}
	if d.prompts != nil {
		q.Prompts = []string{""}
	}
	return q
}

// Stochastic reports whether the sampler that was chosen adds noise of its own, so that samples do not follow from their starts alone. A
// stand-in answers in the network's place.
func (d *Drawer) Stochastic(ctx context.Context) (bool, error) {
	of := *d
	of.Model = &standIn{Model: d.Model}
	q := of.trialRequest()
	q.Still = true
	_, err := of.Draw(ctx, q)
	if errors.Is(err, errNoisy) {
		return true, nil
	}
	return false, err
}

// Timed is how long requests of one sample take.
type Timed struct {
	Latency
	Requests    int
	Evaluations int // of the model, guidance included, a sample
}

// TimeRequests draws samples one at a time, after one that is not counted, as many as asked for or as fit a time.
func (d *Drawer) TimeRequests(ctx context.Context, most int, within time.Duration) (*Timed, error) {
	var count sampler.Count
	q := d.trialRequest()
	q.Count = &count
	var took []float64
	for began, i := time.Now(), 0; len(took) < most && (len(took) == 0 || time.Since(began) < within); i++ {
		q.Seed = uint64(i)
		start := time.Now()
		if _, err := d.Draw(ctx, q); err != nil {
			return nil, err
		}
		if i > 0 {
			took = append(took, time.Since(start).Seconds()*1e3)
		}
	}
	return &Timed{latencyOf(took), len(took), count.Evaluations}, nil
}

// latencyOf sums up times in milliseconds.
func latencyOf(took []float64) Latency {
	slices.Sort(took)
	at := func(part float64) float64 { return took[min(len(took)-1, int(math.Ceil(part*float64(len(took))))-1)] }
	return Latency{Median: at(0.5), P99: at(0.99), Max: took[len(took)-1]}
}
