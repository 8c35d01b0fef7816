//go:build linux && amd64 && !nocuda

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/tensor/cuda/nvrtc"
)

// compiler is the pinned one, if make generate has fetched it.
func compiler(t *testing.T) (*nvrtc.Compiler, string) {
	t.Helper()
	tools, err := toolsDir()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(tools, "ptxas")); err != nil {
		t.Skip("the compiler has not been fetched: make generate does so")
	}
	c, err := nvrtc.Open(filepath.Join(tools, compilerName))
	if err != nil {
		t.Fatal(err)
	}
	if major, minor := c.Version(); major != 11 || minor != 8 {
		t.Fatalf("the compiler is %d.%d, want 11.8", major, minor)
	}
	return c, tools
}

// TestBrokenKernel: a kernel that does not compile fails with its name, line and reason.
func TestBrokenKernel(t *testing.T) {
	c, _ := compiler(t)
	_, err := compile(c, "broken.cu", "#include \"h.cuh\"\nextern \"C\" __global__ void k(int *p) {\n\t*p = nothing;\n}\n", map[string]string{"h.cuh": "// a header"})
	var e *nvrtc.Error
	if !errors.As(err, &e) || !strings.Contains(err.Error(), `broken.cu(3): error: identifier "nothing" is undefined`) {
		t.Errorf("got %v", err)
	}
}

// TestSpills: registers that are spilled to memory are an error, and so is PTX that the assembler refuses.
func TestSpills(t *testing.T) {
	c, tools := compiler(t)
	// Hundreds of values that all are needed at the end, in a block that may have few registers each.
	ptx, err := compile(c, "spill.cu", `extern "C" __global__ void __launch_bounds__(1024) spill(float *p) {
	float v[200];
#pragma unroll
	for (int i = 0; i < 200; i++) v[i] = p[i * 7];
#pragma unroll
	for (int j = 0; j < 4; j++)
#pragma unroll
		for (int i = 0; i < 200; i++) v[i] = v[i] * v[199 - i] + v[(i * 3 + j) % 200];
#pragma unroll
	for (int i = 0; i < 200; i++) p[i] = v[i];
}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := assemble(tools, "spill", ptx); err == nil || !strings.Contains(err.Error(), "spill spills registers") {
		t.Errorf("got %v", err)
	}
	if _, err := assemble(tools, "bad", append(ptx, "nonsense"...)); err == nil || !strings.Contains(err.Error(), "ptxas") {
		t.Errorf("got %v", err)
	}
}
