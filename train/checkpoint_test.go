package train

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// checkpoints gives a run's checkpoints, newest first.
func checkpoints(t *testing.T, dir RunDir) []string {
	t.Helper()
	paths, err := listCheckpoints(dir.Checkpoints())
	if err != nil || len(paths) < 2 {
		t.Fatalf("checkpoints %v, error %v; want two", paths, err)
	}
	return paths
}

func damage(t *testing.T, path string, how func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, how(b), 0o666); err != nil {
		t.Fatal(err)
	}
}

// Whatever happens to the newest file, resuming gives the run that was not damaged.
func TestDamagedCheckpoint(t *testing.T) {
	want := result(t, trained(t, moonsYAML))
	for name, how := range map[string]func([]byte) []byte{
		"truncated":      func(b []byte) []byte { return b[:len(b)-5] },
		"half":           func(b []byte) []byte { return b[:len(b)/2] },
		"header only":    func(b []byte) []byte { return b[:100] },
		"empty":          func([]byte) []byte { return nil },
		"zeros":          func(b []byte) []byte { return make([]byte, len(b)) },
		"bit of a value": func(b []byte) []byte { b[len(b)-1000] ^= 4; return b },
		"bit of a step":  func(b []byte) []byte { b[strings.Index(string(b), `\"step\":`)+9] ^= 1; return b },
		"longer":         func(b []byte) []byte { return append(b, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := trained(t, moonsYAML)
			paths := checkpoints(t, dir)
			damage(t, paths[0], how)
			var warnings []string
			warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
			if err := trainIn(context.Background(), experiment(t, moonsYAML), Options{Dir: string(dir), Resume: true, Warn: warn}); err != nil {
				t.Fatal(err)
			}
			if len(warnings) != 1 || !strings.HasPrefix(warnings[0], paths[0]) || !strings.Contains(warnings[0], "going back to the checkpoint before it, "+filepath.Base(paths[1])) {
				t.Errorf("warnings %q: want one that names both files", warnings)
			}
			sameResult(t, dropInterrupted(result(t, dir), want), want)

			_, err := Open(paths[0], warn)
			if err != nil {
				t.Errorf("the checkpoint written anew: %v", err)
			}
		})
	}
}

func TestAllCheckpointsDamaged(t *testing.T) {
	dir := trained(t, moonsYAML)
	for _, p := range checkpoints(t, dir) {
		damage(t, p, func(b []byte) []byte { return b[:len(b)/2] })
	}
	before := everyFile(t, string(dir))
	_, err := New(context.Background(), experiment(t, moonsYAML), Options{Dir: string(dir), Resume: true})
	wantError(t, err, "none of the 2 checkpoints", dir.Checkpoints(), "step-00000036.safetensors")
	_, err = Open(string(dir), func(string, ...any) {})
	wantError(t, err, "none of the 2 checkpoints")
	for path, was := range everyFile(t, string(dir)) {
		if before[path] != was {
			t.Errorf("%s was changed", path)
		}
	}
}

// Every bit of a checkpoint counts: with one flipped it is refused, or reads the same.
func TestFlippedBits(t *testing.T) {
	dir := trained(t, moonsYAML)
	path := checkpoints(t, dir)[0]
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := contents(t, path)
	header := 8 + int(whole[0]) + int(whole[1])<<8 + int(whole[2])<<16
	r := rand.New(rand.NewPCG(3, 4))
	refused := 0
	const flips = 450
	flipped := filepath.Join(t.TempDir(), checkpointName(1))
	for i := range flips {
		at := r.IntN(header)
		if i%3 == 0 {
			at = header + r.IntN(len(whole)-header)
		}
		b := append([]byte(nil), whole...)
		b[at] ^= 1 << r.IntN(8)
		if err := os.WriteFile(flipped, b, 0o666); err != nil {
			t.Fatal(err)
		}
		c, err := openWhole(flipped)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("byte %d: more than a line: %v", at, err)
			}
			refused++
			continue
		}
		c.Close()
		if got := contents(t, flipped); got != want {
			t.Fatalf("a bit of byte %d of %d (header %d) is flipped, and nobody noticed", at, len(whole), header)
		}
	}
	if refused < flips*9/10 {
		t.Errorf("%d of %d flips refused: want nearly all", refused, flips)
	}
}

// contents is all that openWhole gives of a file.
func contents(t *testing.T, path string) string {
	t.Helper()
	c, err := openWhole(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var s strings.Builder
	fmt.Fprintf(&s, "%+v %s", c.state, c.config)
	for _, name := range c.file.Names() {
		v, err := c.values(name)
		if err != nil {
			t.Fatal(err)
		}
		tensor, _ := c.file.Tensor(name)
		fmt.Fprintln(&s, name, tensor.Shape, checksum(v))
	}
	return s.String()
}

func TestNotACheckpoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := safetensors.WriteFile(path, []safetensors.Entry{safetensors.Float32("w", []int{1}, []float32{1})}, nil); err != nil {
		t.Fatal(err)
	}
	_, err := Open(path, nil)
	wantError(t, err, path, "not a checkpoint of a run")
}

// Numbers that JSON does not know survive in the state.
func TestFloat64Bits(t *testing.T) {
	for _, v := range []float64{0, math.Copysign(0, -1), 0.1, math.NaN(), math.Inf(1), math.Inf(-1), math.SmallestNonzeroFloat64} {
		text, err := float64Bits(v).MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back float64Bits
		if err := back.UnmarshalText(text); err != nil || math.Float64bits(float64(back)) != math.Float64bits(v) {
			t.Errorf("%v became %s, %v, error %v", v, text, float64(back), err)
		}
	}
}

func TestListCheckpoints(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"step-00000002.safetensors", "step-123456789.safetensors", "step-00000010.safetensors", "step-3.safetensors", "step-00000004.safetensors.bak", ".step-00000005.safetensors.langevin-tmp-0", "x"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	paths, err := listCheckpoints(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range paths {
		names = append(names, filepath.Base(p))
	}
	if got, want := fmt.Sprint(names), "[step-123456789.safetensors step-00000010.safetensors step-00000002.safetensors]"; got != want {
		t.Errorf("found %s, want %s", got, want)
	}
	if err := pruneCheckpoints(dir, 1, 5); err != nil {
		t.Fatal(err)
	}
	if paths, _ = listCheckpoints(dir); len(paths) != 2 || filepath.Base(paths[1]) != names[1] {
		t.Errorf("kept %v, want %s, and %s of every fifth step", paths, names[0], names[1])
	}
	if err := pruneCheckpoints(dir, 1, 0); err != nil {
		t.Fatal(err)
	}
	if paths, _ = listCheckpoints(dir); len(paths) != 1 || filepath.Base(paths[0]) != names[0] {
		t.Errorf("kept %v, want %s", paths, names[0])
	}
	if paths, err := listCheckpoints(filepath.Join(dir, "none")); len(paths) != 0 || err != nil {
		t.Errorf("a folder that is not there: %v, %v", paths, err)
	}
}

// Whatever bytes a checkpoint file has, opening it gives a sound state or an error.
func FuzzOpenCheckpoint(f *testing.F) {
	p := tensor.NewParam(cpu.Default(), tensor.Float32, 2)
	p.Name = "w"
	path := filepath.Join(f.TempDir(), "x.safetensors")
	if err := saveCheckpoint(path, checkpointState{about: about{Shape: []int{2}, Classes: 2}, Step: 3}, texts{config: []byte("name: x\n")}, group{prefix: modelPrefix, params: []*tensor.Param{p}}); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte(strings.Replace(string(whole), `\"step\":3`, `\"step\":4`, 1)))
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := safetensors.New(bytes.NewReader(b), int64(len(b)), "x") // a file of the disk takes ten times as long
		if err != nil {
			return
		}
		c, err := readCheckpoint(file)
		if err != nil || c.verify() != nil {
			return
		}
		if c.state.Step < 0 || volume(c.state.Shape) < 1 || c.state.Classes < 0 {
			t.Errorf("state %+v", c.state)
		}
	})
}
