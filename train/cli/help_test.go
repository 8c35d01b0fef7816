package cli_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/internal/safetensors"

	"github.com/langevin-go/langevin/train/cli"
)

var commands = []string{"train", "sample", "eval", "inspect", "report", "average", "export", "distill", "reflow", "sweep", "classifier", "plot", "bench", "schema", "doctor", "version"}

// examplesOf are the command lines under Examples in a command's help.
func examplesOf(t *testing.T, args ...string) []string {
	t.Helper()
	help := succeeds(t, t.TempDir(), append(args, "--help")...).stdout
	_, text, ok := strings.Cut(help, "Examples:\n")
	if !ok {
		t.Fatalf("langevin %s --help has no examples:\n%s", strings.Join(args, " "), help)
	}
	text, _, _ = strings.Cut(text, "\n\n")
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines
}

// documented are the command lines in a document's shell blocks.
func documented(t *testing.T, file string) []string {
	t.Helper()
	var lines []string
	for _, m := range regexp.MustCompile("(?s)```(?:sh|bash|console)\n(.*?)```").FindAllStringSubmatch(string(read(t, file)), -1) {
		for line := range strings.Lines(m[1]) {
			line = strings.TrimPrefix(strings.TrimSpace(line), "$ ")
			line = strings.Replace(line, "go run ./cmd/langevin", "langevin", 1)
			if strings.HasPrefix(line, "langevin ") {
				lines = append(lines, line)
			}
		}
	}
	if len(lines) == 0 {
		t.Fatalf("%s has no command lines", file)
	}
	return lines
}

// All command lines that help texts and documents show do run, in a place where
// small stand-ins have the names of their files.
func TestExamplesRun(t *testing.T) {
	long(t)
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("needs a shell")
	}
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, p := range []string{"bin", "examples"} {
		if err := os.Mkdir(filepath.Join(dir, p), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "bin/langevin"), "#!"+sh+"\n"+asCommand+"=1 exec '"+self+"' \"$@\"\n")
	if err := os.Chmod(filepath.Join(dir, "bin/langevin"), 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "examples/digits.yaml"), tinyDigitsYAML+"checkpoint: {every: 3}\n")
	write(t, filepath.Join(dir, "my.yaml"), "data: digits\nsteps: 3\nbatch: 4\nmodel: {kind: dit, patch: 4, width: 16, depth: 1, heads: 2}\nsample: {every: 0}\n")
	write(t, filepath.Join(dir, "sweep.yaml"), "experiment: my.yaml\nseeds: [0, 1]\ngrid: {optim.lr: [1e-3]}\n")
	copyPipeline(t, "dit-ddim", filepath.Join(dir, "pipeline"))
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(pipelines, "dit-ddim"))); err != nil { // samples.safetensors
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "samples.safetensors"), filepath.Join(dir, "n.safetensors")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "model_index.json")); err != nil {
		t.Fatal(err)
	}
	theirs := safetensors.Float32("samples", []int{12, 1, 8, 8}, make([]float32, 12*64))
	if err := safetensors.WriteFile(filepath.Join(dir, "theirs.safetensors"), []safetensors.Entry{theirs}, nil); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "examples/digits-prompts.yaml"), strings.Replace(tinyPromptsYAML, "name: prompts", "name: digits-prompts", 1))
	write(t, filepath.Join(dir, "examples/moons.yaml"), strings.Replace(tinyYAML, "name: tiny", "name: moons", 1))
	write(t, filepath.Join(dir, "examples/distill-consistency.yaml"), "teacher: runs/moons\nsteps: 3\nsample: {every: 0}\n")
	write(t, filepath.Join(dir, "student.yaml"), "teacher: runs/digits\nsample: {every: 0}\n")
	write(t, filepath.Join(dir, "list.txt"), "three\na handwritten seven\n")
	putPicture(t, filepath.Join(dir, "pictures/seven.png"), 8, 8)
	write(t, filepath.Join(dir, "moons.yaml"), strings.Replace(tinyYAML, "name: tiny", "name: moons", 1))
	succeeds(t, dir, "train", "moons.yaml")
	write(t, filepath.Join(dir, "unet.yaml"), "name: digits-ddpm-unet\ndata: digits\nsteps: 2\nbatch: 4\nmodel: {kind: unet, channels: [8, 8], layers: 1, groups: 4, head_dim: 8}\nobjective: {kind: ddpm}\nsample: {every: 0, sampler: ddpm}\n")
	succeeds(t, dir, "train", "unet.yaml")
	if err := os.CopyFS(filepath.Join(dir, "scripts/quality"), os.DirFS("../../scripts/quality")); err != nil {
		t.Fatal(err)
	}
	// First: they train what examples of commands draw from and compare.
	lines := append(documented(t, "../../docs/prompts.md"), documented(t, "../../docs/distillation.md")...)
	for _, c := range commands {
		lines = append(lines, examplesOf(t, c)...)
	}
	lines = append(lines, documented(t, "../../README.md")...)
	lines = append(lines, documented(t, "../../docs/getting-started.md")...)
	lines = append(lines, documented(t, "../../docs/pictures.md")...)
	lines = append(lines, documented(t, "../../docs/training.md")...)
	seen := make(map[string]bool)
	for _, line := range lines {
		if seen[line] || strings.Contains(line, "bench") || strings.Contains(line, "mnist") || strings.Contains(line, "inception") {
			continue // minutes of work; files that are the user's
		}
		seen[line] = true
		// What the text says to make long is made short.
		line = regexp.MustCompile(`steps=\d{3,}`).ReplaceAllString(line, "steps=12")
		line = strings.Replace(line, "--n 2000", "--n 40", 1)
		if strings.Contains(line, " eval ") && !strings.Contains(line, "--n") && !strings.Contains(line, "--samples") {
			line += " --n 40"
		}
		if strings.Contains(line, "--compare") {
			line += " --nfe 1,2 --solvers euler --requests 2"
		}
		if line = regexp.MustCompile(`--pairs \d+`).ReplaceAllString(line, ""); strings.Contains(line, " reflow ") {
			line = regexp.MustCompile(`--real \d+`).ReplaceAllString(line, "--real 10")
			line += " --pairs 30 --sampler euler --steps 4 --n 40 --measure 1 --ways 4"
		}
		c := exec.Command(sh, "-c", line)
		c.Dir = dir
		c.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"))
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
	if len(seen) < 12 {
		t.Errorf("only %d command lines found", len(seen))
	}
}

func TestHelp(t *testing.T) {
	long(t)
	dir := t.TempDir()
	all := succeeds(t, dir, "--help").stdout
	for _, c := range append(commands, "completion") {
		if !strings.Contains(all, "\n  "+c+" ") {
			t.Errorf("langevin --help does not list %s", c)
		}
		if o := succeeds(t, dir, c, "--help"); !strings.Contains(o.stdout, "langevin "+c) || o.stderr != "" {
			t.Errorf("langevin %s --help:\n%s%s", c, o.stdout, o.stderr)
		}
		if o := succeeds(t, dir, "help", c); !strings.Contains(o.stdout, "langevin "+c) {
			t.Errorf("langevin help %s:\n%s", c, o.stdout)
		}
	}
	if bare := succeeds(t, dir); bare.stdout != all {
		t.Error("langevin alone is not its help")
	}
	if v := succeeds(t, dir, "version").stdout; !strings.HasPrefix(v, "langevin ") {
		t.Errorf("version says %q", v)
	}
}

func TestCompletion(t *testing.T) {
	dir := t.TempDir()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if o := succeeds(t, dir, "completion", shell); !strings.Contains(o.stdout, "langevin") {
			t.Errorf("completion %s:\n%s", shell, o.stdout)
		}
	}
	for args, want := range map[string][]string{
		"":                    commands,
		"sample --sampler ":   {"ddim", "ddpm", "euler", "heun"},
		"eval runs --sampler": {"--sampler"},
		"bench ":              {"gemm", "unet", "dit"},
	} {
		fields := append([]string{"__complete"}, strings.Fields(args)...)
		if args == "" || strings.HasSuffix(args, " ") {
			fields = append(fields, "")
		}
		o := succeeds(t, dir, fields...)
		for _, w := range want {
			if !strings.Contains(o.stdout, w) {
				t.Errorf("langevin %s<TAB>: %s is not offered in\n%s", args, w, o.stdout)
			}
		}
	}
}

// A program of one's own has its own name in every text.
func TestOwnName(t *testing.T) {
	own := func(args ...string) (code int, stdout, stderr string) {
		var out, errs bytes.Buffer
		code = cli.Main(cli.Options{Name: "mine", Version: "1.2.3", Args: args, Stdout: &out, Stderr: &errs})
		return code, out.String(), errs.String()
	}
	for _, c := range commands {
		if code, help, _ := own(c, "--help"); code != 0 || !strings.Contains(help, "mine "+c) || strings.Contains(help, "  langevin ") {
			t.Errorf("exit code %d, help of %s:\n%s", code, c, help)
		}
	}
	if code, out, _ := own("version"); code != 0 || !strings.HasPrefix(out, "mine 1.2.3\nlangevin ") {
		t.Errorf("exit code %d, version %q", code, out)
	}
	if code, _, errs := own("sample", "nowhere"); code != 1 || !strings.HasPrefix(errs, "mine: nowhere: ") {
		t.Errorf("exit code %d, error %q", code, errs)
	}
	if code, _, errs := own("sample"); code != 2 || !strings.HasSuffix(errs, "Try 'mine sample --help'.\n") {
		t.Errorf("exit code %d, error %q", code, errs)
	}
}
