package cpu_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/train"
)

var update = flag.Bool("update", false, "write the list of programs that get kernels of their own")

// programsFile is what the kernels are generated from.
const programsFile = "../../internal/asmgen/elementwise/programs.txt"

// trained are the experiments whose programs get kernels of their own, made
// small: programs do not depend on sizes.
var trained = []struct {
	file      string
	overrides []string
}{
	{"../../train/bench/workloads/mlp.yaml", []string{"batch=8"}},
	{"../../train/bench/workloads/unet.yaml", []string{"batch=2"}},
	{"../../train/bench/workloads/dit.yaml", []string{"batch=2", "model.depth=1"}},
	{"../../examples/digits.yaml", []string{"batch=8"}},
	{"../../examples/digits-ddpm-unet.yaml", []string{"batch=8"}},
	{"../../examples/moons.yaml", []string{"ema=null"}},
	{"../../examples/digits-prompts.yaml", []string{"batch=8"}},
	{"../../examples/digits-meanflow.yaml", []string{"batch=8"}},
}

// TestWholePrograms trains a little and then holds that the programs that were run,
// and no others, have kernels of their own, and that those kernels give what their
// operations' kernels give. With -update it writes the list of programs: `make
// generate` makes kernels of it.
func TestWholePrograms(t *testing.T) {
	cpu.ForgetPrograms()
	for _, e := range trained {
		exp, err := train.LoadExperiment(e.file, e.overrides)
		if err != nil {
			t.Fatal(err)
		}
		run, err := train.New(context.Background(), exp, train.Options{Bare: true})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := run.Train(); err != nil {
				t.Fatal(err)
			}
		}
		run.Close()
	}
	names := cpu.Listings()
	var want strings.Builder
	for _, l := range slices.Sorted(maps.Keys(names)) {
		fmt.Fprintf(&want, "%s: %s\n", names[l], l)
	}
	if *update {
		if err := os.WriteFile(programsFile, []byte(want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(programsFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want.String() {
		t.Errorf("%s is out of date: go test ./tensor/cpu -run WholePrograms -update && make generate", programsFile)
	}
	for _, l := range cpu.WithoutKernel(names) {
		t.Errorf("%s has no kernel of its own: make generate\n%s", names[l], l)
	}
	cpu.CheckWholes(t)
}
