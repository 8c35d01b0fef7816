// Package asmgen holds the generators of assembly, a folder each, in a module of
// their own: users of Langevin never download what only these need. To bring
// all generated files up to date, run
//
//	make generate
package asmgen

//go:generate go run ./gemm -out ../../tensor/cpu/gemm_amd64.s -decl ../../tensor/cpu/gemm_tiles_amd64.go
//go:generate go run ./gemm -bf16 -out ../../tensor/cpu/bf16_amd64.s -decl ../../tensor/cpu/bf16_kernels_amd64.go
//go:generate go run ./neon -out ../../tensor/cpu/gemm_arm64.s -decl ../../tensor/cpu/gemm_tiles_arm64.go
//go:generate go run ./elementwise -out ../../tensor/cpu/elementwise_amd64.s -stubs ../../tensor/cpu/elementwise_stubs_amd64.go -table ../../tensor/cpu/elementwise_programs_amd64.go -pkg cpu
//go:generate go run ./assign -out ../../flow/scan_amd64.s -stubs ../../flow/scan_stubs_amd64.go -pkg flow
