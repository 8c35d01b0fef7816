package flow

import "github.com/langevin-go/langevin/tensor/cpu"

func scansOf(l cpu.Level) *scans {
	switch l {
	case cpu.AVX512, cpu.AMX:
		return &scans{bestTwo32x512, bestTwo64x512, relax64x512, extremes64x512, narrow64x512, dots64x512, 16}
	case cpu.AVX2:
		return &scans{bestTwo32x256, bestTwo64x256, relax64x256, extremes64x256, narrow64x256, dots64x256, 8}
	}
	return goScans
}
