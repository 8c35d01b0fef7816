// Package kernels holds the GPU kernels: their text, one topic a file, and the PTX
// that NVRTC made of it for sm_80, which every later GPU loads too. Each topic is a module.
package kernels

import "embed"

//go:generate go run ../../../internal/kernelgen .

//go:embed *.ptx
var ptx embed.FS

// Source is the text that the PTX was made from.
//
//go:embed *.cu *.cuh
var Source embed.FS

// PTX is the module of a topic: "gemm", say.
func PTX(topic string) ([]byte, error) { return ptx.ReadFile(topic + ".ptx") }
