package cpu

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/cpu"
)

// Level is the instruction set that kernels use.
type Level uint8

const (
	Go     Level = iota // plain Go, everywhere
	NEON                // of arm64: matrix products, convolution and attention
	AVX2                // AVX2 and FMA
	AVX512              // AVX-512 F, VL, BW, DQ
	AMX                 // the same, and AMX for products of bfloat16 numbers
)

var levelNames = [...]string{"go", "neon", "avx2", "avx512", "amx"}

func (l Level) String() string { return levelNames[l] }

// ParseLevel reads a level's name.
func ParseLevel(s string) (Level, error) {
	for l, name := range levelNames {
		if name == s {
			return Level(l), nil
		}
	}
	return 0, fmt.Errorf("unknown instruction set %q: want go, neon, avx2, avx512 or amx", s)
}

// Levels are those that this machine has, the slowest first.
func Levels() []Level {
	l := []Level{Go}
	switch runtime.GOARCH {
	case "arm64": // of which NEON is a part
		l = append(l, NEON)
	case "amd64":
		if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
			l = append(l, AVX2)
		}
		if cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ {
			l = append(l, AVX512)
			if hasAMX() {
				l = append(l, AMX)
			}
		}
	}
	return l
}

// Best is the highest level that this machine has.
func Best() Level {
	l := Levels()
	return l[len(l)-1]
}
