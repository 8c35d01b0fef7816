package bench

import "github.com/langevin-go/langevin/train"

// Result is one measurement: a line of JSON.
type Result struct {
	Side     string `json:"side"` // "langevin"
	Workload string `json:"workload"`
	Mode     string `json:"mode"` // arithmetic: "fp32" or "bf16"
	Threads  int    `json:"threads"`
	Device   string `json:"device,omitempty"` // where it is not the CPU

	Timing

	Batch  int `json:"batch,omitempty"`
	Params int `json:"params,omitempty"` // elements of all weights

	Shape      []int   `json:"shape,omitempty"` // M, N, K of a matrix product (M,K)·(K,N)
	GFLOPS     float64 `json:"gflops,omitempty"`
	BestGFLOPS float64 `json:"best_gflops,omitempty"`
	// PeakGFLOPS is the rate of the innermost kernel alone, measured in the same
	// process, and PeakShare gflops by it.
	PeakGFLOPS float64 `json:"peak_gflops,omitempty"`
	PeakShare  float64 `json:"peak_share,omitempty"`

	Net      string `json:"net,omitempty"`     // what is sampled from
	Sampler  string `json:"sampler,omitempty"` // of an experiment's own
	Steps    int    `json:"steps,omitempty"`   // of the sampler
	Coupling string `json:"coupling,omitempty"`

	// PeakMiB is the highest resident memory from the first step on minus that
	// before it, on a GPU the most memory taken from that; MaxRSSMiB is the process's highest.
	PeakMiB   float64 `json:"peak_mib"`
	MaxRSSMiB float64 `json:"max_rss_mib"`

	Breakdown *Breakdown `json:"breakdown,omitempty"`
}

const (
	side = "langevin"
	mode = "fp32"
)

// modeOf is the mode of a precision.
func modeOf(precision string) string {
	if precision == train.BF16 {
		return "bf16"
	}
	return mode
}
