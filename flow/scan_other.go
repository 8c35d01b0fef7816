//go:build !amd64

package flow

import "github.com/langevin-go/langevin/tensor/cpu"

func scansOf(cpu.Level) *scans { return goScans }
