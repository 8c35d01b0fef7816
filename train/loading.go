package train

import (
	"runtime"

	"github.com/langevin-go/langevin/train/data"
)

// Loading says how data are read while training. What is trained on does not depend on it.
type Loading struct {
	Workers int `yaml:"workers" doc:"goroutines that read and decode samples in the background; −1: one a CPU where samples are decoded while training, else none; 0: none" range:"[-1,1024]"`
	Ahead   int `yaml:"ahead" doc:"batches that they are ahead of training at most" range:"[1,1024]"`
}

// SetDefaults reads in the background what is worth it.
func (l *Loading) SetDefaults() { l.Workers, l.Ahead = -1, 2 }

// ahead reads batches in the background, if the loader's data are to be read so; else it is nil.
func (l *Loading) ahead(loader *data.Loader, batch int) *data.Ahead {
	workers := l.Workers
	if workers < 0 && data.Streams(loader.Source()) {
		workers = runtime.GOMAXPROCS(0)
	}
	if workers <= 0 {
		return nil
	}
	return loader.Ahead(batch, workers, l.Ahead)
}

// Waited is the share of the time since Run began that steps waited for their data.
func (t *Trainer) Waited() float64 {
	if t.began.IsZero() {
		return 0
	}
	return t.waited.Seconds() / max(1e-9, t.now().Sub(t.began).Seconds())
}
