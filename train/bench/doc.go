// Package bench times what users wait for: matrix products, whole training
// steps of three networks, sampling, and flow matching between two
// distributions. The workloads and the keys of their results are those of
// scripts/bench/torch_side.py, so that both sides can be set beside each other.
//
// Memory figures are a process's: [Run] gives each workload a process of its own.
package bench
