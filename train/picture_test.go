package train

import (
	"image/png"
	"os"
	"path/filepath"
	"testing"
)

// The pictures that a run draws, by what its data and network are.
func TestPictures(t *testing.T) {
	for _, c := range []struct {
		name, text string
		overrides  []string
		want       []string
	}{
		{"images", digitsYAML, nil, []string{"grid-00000007.png", "grid-00000014.png"}},
		{"images without classes", digitsYAML, []string{"conditional=false", "steps=7"}, []string{"grid-00000007.png"}},
		{"points", moonsYAML, []string{"steps=3", "sample.every=3"}, []string{"field-00000003.png", "points-00000003.png"}},
		{"points without classes", moonsYAML, []string{"steps=3", "sample.every=3", "sample.guidance=1", "conditional=false"}, []string{"field-00000003.png", "points-00000003.png"}},
		{"points without a null class", moonsYAML, []string{"steps=3", "sample.every=3", "sample.guidance=1", "model.null_condition=false"}, []string{"points-00000003.png"}},
		{"no pictures", moonsYAML, []string{"steps=3", "sample.every=0"}, nil},
		{"nothing to draw", "data: {kind: noise, shape: [3]}\nmodel: {kind: mlp, width: 8, depth: 1}\nsteps: 2\nbatch: 4\n", []string{"sample.every=1"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := trained(t, c.text, c.overrides...)
			entries, err := os.ReadDir(dir.Samples())
			if err != nil {
				t.Fatal(err)
			}
			if len(entries) != len(c.want) {
				t.Fatalf("%d files %v, want %v", len(entries), entries, c.want)
			}
			for i, e := range entries {
				if e.Name() != c.want[i] {
					t.Errorf("file %s, want %s", e.Name(), c.want[i])
				}
				f, err := os.Open(filepath.Join(dir.Samples(), e.Name()))
				if err != nil {
					t.Fatal(err)
				}
				m, err := png.Decode(f)
				f.Close()
				if err != nil || m.Bounds().Dx() < 50 {
					t.Errorf("%s: %v, %v", e.Name(), m, err)
				}
			}
		})
	}
}
