package train

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/internal/safetensors"
)

// arraysOf are all arrays of a safetensors file.
func arraysOf(t *testing.T, path string) map[string][]float32 {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := make(map[string][]float32)
	for _, name := range f.Names() {
		x, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		if out[name], err = x.Float32s(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// The mean of checkpoints is that of their averages, number by number, whatever their order.
func TestAverageOfCheckpoints(t *testing.T) {
	dir := trained(t, moonsYAML, "checkpoint.keep=3")
	files := checkpoints(t, dir)
	if len(files) != 3 {
		t.Fatal(files)
	}
	of := []map[string][]float32{arraysOf(t, files[0]), arraysOf(t, files[1]), arraysOf(t, files[2])}
	a, b := filepath.Join(t.TempDir(), "a.safetensors"), filepath.Join(t.TempDir(), "b.safetensors")
	if n, err := Average([]string{string(dir)}, 3, a, t.Logf); err != nil || n != 3 {
		t.Fatal(n, err)
	}
	if n, err := Average([]string{files[2], files[0], files[1]}, 1, b, t.Logf); err != nil || n != 3 {
		t.Fatal(n, err)
	}
	got, same := arraysOf(t, a), arraysOf(t, b)
	moved := false
	for _, p := range opened(t, dir).Params {
		v := got[emaPrefix+p.Name]
		if len(v) != p.Elems() {
			t.Fatalf("%s has %d numbers", p.Name, len(v))
		}
		for i := range v {
			x, y, z := float64(of[0][emaPrefix+p.Name][i]), float64(of[1][emaPrefix+p.Name][i]), float64(of[2][emaPrefix+p.Name][i])
			want := (x + y + z) / 3
			// In float64, rounded once: half a unit of float32's last place.
			if !(math.Abs(float64(v[i])-want) <= math.Abs(want)/(1<<24)+1e-45) {
				t.Fatalf("%s[%d] is %g, the mean of %g, %g, %g is %g", p.Name, i, v[i], x, y, z, want)
			}
			// Another order of a sum in float64, and so at most another rounding.
			if math.Abs(float64(same[emaPrefix+p.Name][i]-v[i])) > math.Abs(want)/(1<<23) {
				t.Fatalf("%s[%d] depends on the order", p.Name, i)
			}
			moved = moved || v[i] != float32(x)
		}
	}
	if !moved {
		t.Error("the mean is the newest checkpoint")
	}
	if o := opened(t, RunDir(a)); o.Step != 40 || !o.EMA {
		t.Errorf("opens at step %d, average %v", o.Step, o.EMA)
	}
}

// An export has the parameters by their own names, and is opened as the run is; --raw has the weights themselves.
func TestExport(t *testing.T) {
	dir := trained(t, moonsYAML)
	used, saved := opened(t, dir), weightsOf(t, dir)
	for _, raw := range []bool{false, true} {
		out := filepath.Join(t.TempDir(), "x.safetensors")
		if err := Export(string(dir), raw, out, t.Logf); err != nil {
			t.Fatal(err)
		}
		got, prefix := arraysOf(t, out), emaPrefix
		if raw {
			prefix = modelPrefix
		}
		if len(got) != len(used.Params) {
			t.Errorf("%d arrays, want %d", len(got), len(used.Params))
		}
		back := opened(t, RunDir(out))
		if back.EMA == raw || back.Step != used.Step {
			t.Errorf("raw %v: opens with average %v at step %d", raw, back.EMA, back.Step)
		}
		for i, p := range used.Params {
			if !slices.Equal(got[p.Name], saved[prefix+p.Name]) || !slices.Equal(back.Params[i].Float32s(), got[p.Name]) {
				t.Errorf("raw %v: %s differs", raw, p.Name)
			}
		}
		again := filepath.Join(t.TempDir(), "y.safetensors")
		if err := Export(out, false, again, t.Logf); err != nil {
			t.Fatal(err)
		}
		if two := arraysOf(t, again); len(two) != len(got) {
			t.Errorf("exported again it has %d arrays", len(two))
		}
		if _, err := Average([]string{out, again}, 1, again+"2", t.Logf); err != nil { // of itself, it is the same
			t.Fatal(err)
		}
		for i, p := range opened(t, RunDir(again+"2")).Params {
			if !slices.Equal(p.Float32s(), back.Params[i].Float32s()) {
				t.Errorf("raw %v: %s of the mean of two exports differs", raw, p.Name)
			}
		}
		if err := Export(out, true, again, t.Logf); (err == nil) != raw {
			t.Errorf("the weights of an export, raw %v: %v", raw, err)
		}
	}
	none := trained(t, moonsYAML, "ema=null")
	out := filepath.Join(t.TempDir(), "x.safetensors")
	if err := Export(string(none), false, out, t.Logf); err != nil {
		t.Fatal(err)
	}
	if o := opened(t, RunDir(out)); o.EMA {
		t.Error("an export without an average has one")
	}
}
