package train

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// Each process leaves a line; one that was killed while it wrote its own takes nobody else's along.
func TestEnvironments(t *testing.T) {
	dir := RunDir(filepath.Join(t.TempDir(), "run"))
	exp := experiment(t, moonsYAML)
	if err := trainIn(context.Background(), exp, Options{Dir: string(dir)}); err != nil {
		t.Fatal(err)
	}
	all, err := ReadEnvironments(dir)
	if err != nil || len(all) != 1 || all[0].Device == "" || all[0].Threads < 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	whole, err := os.ReadFile(dir.Environments())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir.Environments(), append(whole, whole[:len(whole)/2]...), 0o600); err != nil {
		t.Fatal(err)
	}
	if torn, err := ReadEnvironments(dir); err != nil || len(torn) != 1 {
		t.Fatalf("with a torn line: %+v, %v", torn, err)
	}
	if err := trainIn(context.Background(), experiment(t, moonsYAML, "steps=70"), Options{Dir: string(dir), Resume: true}); err != nil {
		t.Fatal(err)
	}
	if again, err := ReadEnvironments(dir); err != nil || len(again) != 2 || again[1].Step == 0 {
		t.Errorf("after another process: %+v, %v", again, err)
	}
	if none, err := ReadEnvironments(RunDir(t.TempDir())); err != nil || none != nil {
		t.Errorf("where nothing was recorded: %+v, %v", none, err)
	}
}
