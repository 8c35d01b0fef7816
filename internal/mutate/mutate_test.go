package main

import (
	"context"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// toy is the package in testdata: its tests check one of two derivatives.
var toy = target{dir: "calc", include: `\.vjp$|Grad$`, exprs: true, stages: []stage{{"calc", ""}}}

var everything, _ = newFilter("", "")

func toyOptions(t *testing.T) options {
	root := t.TempDir()
	if err := os.CopyFS(root, os.DirFS("testdata/toy")); err != nil {
		t.Fatal(err)
	}
	return options{root: root, results: filepath.Join(t.TempDir(), "new", "results.jsonl"), workers: 2, timeout: time.Minute}
}

func toyMutants(t *testing.T, o options) map[string]*mutant {
	t.Helper()
	ms, err := find(o.root, toy, everything)
	if err != nil {
		t.Fatal(err)
	}
	byText := map[string]*mutant{}
	for _, m := range ms {
		byText[m.fn+" "+m.kind+": "+m.before+" → "+m.after] = m
	}
	if len(byText) != len(ms) {
		t.Errorf("%d mutants, %d different ones", len(ms), len(byText))
	}
	return byText
}

func sorted(ms map[string]*mutant) (all []*mutant) {
	for _, m := range ms {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *mutant) int { return a.from - b.from })
	return all
}

func TestToy(t *testing.T) {
	o := toyOptions(t)
	ms := toyMutants(t, o)
	if err := runTarget(context.Background(), o, toy, sorted(ms)); err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string]status{
		"product.vjp drop a factor: g * y → g":                       killed,
		"product.vjp drop a statement: dx += 3 * g → ":               killed,
		"product.vjp drop an accumulation: dx += 3 * g → dx = 3 * g": killed,
		"product.vjp flip a sign: dx += 3 * g → dx -= 3 * g":         killed,
		"product.vjp wrong constant: 3 → 4":                          killed,
		"product.vjp drop a factor: g * x → g":                       survived,
		"product.vjp drop a statement: dy = g * x → ":                survived,
		"sumGrad drop an accumulation: to[i] += g → to[i] = g":       survived,
		"sumGrad drop a statement: to[i] += g → ":                    notCompiled, // g and i are unused
		"half swap operands: x / 2 → (2 / x)":                        killed,
	} {
		switch m := ms[what]; {
		case m == nil:
			t.Errorf("no mutant %q", what)
		case m.status != want:
			t.Errorf("%s: %q, want %q", what, m.status, want)
		case want == killed && !strings.HasPrefix(m.by, "Test"):
			t.Errorf("%s: killed by %q", what, m.by)
		}
	}
	for what, m := range ms {
		if m.status == notRun {
			t.Errorf("%s was not run", what)
		}
	}
	if err := summarise(io.Discard, sorted(ms), nil); err == nil {
		t.Error("there are survivors, and no error")
	}

	// The tree is as it was, and results are kept: where nothing is to be run,
	// not even tests that fail anyhow are.
	if entries, err := os.ReadDir(filepath.Join(o.root, "calc")); err != nil || len(entries) != 2 {
		t.Errorf("the package has %d files (%v)", len(entries), err)
	}
	if err := os.WriteFile(filepath.Join(o.root, "calc", "calc_test.go"), []byte("package calc\nthis does not compile"), 0o644); err != nil {
		t.Fatal(err)
	}
	again := toyMutants(t, o)
	if err := runTarget(context.Background(), o, toy, sorted(again)); err != nil {
		t.Fatal("the second time:", err)
	}
	for what, m := range ms {
		if again[what].status != m.status || again[what].by != m.by {
			t.Errorf("%s: %s by %s, the second time %s by %s", what, m.status, m.by, again[what].status, again[what].by)
		}
	}
	// Survivors are run again where that is asked for; and here that fails.
	o.retry = true
	if err := runTarget(context.Background(), o, toy, sorted(toyMutants(t, o))); err == nil {
		t.Error("tests that do not compile noticed nothing")
	}
}

// A mutant's id outlives changes elsewhere in the file, its result those elsewhere in the function not.
func TestKeys(t *testing.T) {
	o := toyOptions(t)
	path := filepath.Join(o.root, "calc", "calc.go")
	const what = "product.vjp drop a factor: g * x → g"
	replace := func(old, new string) *mutant {
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), old) {
			t.Fatal(err, old)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(text), old, new, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		return toyMutants(t, o)[what]
	}
	first := toyMutants(t, o)[what]
	if m := replace("type number", "// A number.\ntype number"); m.id != first.id || m.key != first.key {
		t.Error("a line above has changed the id or the key")
	}
	if m := replace("3 * g", "4 * g"); m.id != first.id || m.key == first.key {
		t.Error("another line of the function must change the key, and not the id")
	}
}

func TestFailingTestsAreRefused(t *testing.T) {
	o := toyOptions(t)
	path := filepath.Join(o.root, "calc", "calc_test.go")
	if err := os.WriteFile(path, []byte("package calc\nimport \"testing\"\nfunc TestNo(t *testing.T) { t.Error(1) }"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := runTarget(context.Background(), o, toy, sorted(toyMutants(t, o)))
	if err == nil || !strings.Contains(err.Error(), "TestNo") {
		t.Errorf("tests that fail without a mutant: %v", err)
	}
}

func TestStopping(t *testing.T) {
	o := toyOptions(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	ms := sorted(toyMutants(t, o))
	if err := runTarget(ctx, o, toy, ms); err != nil {
		t.Error(err)
	}
	if err := summarise(io.Discard, ms, nil); err == nil || !strings.Contains(err.Error(), "go on") {
		t.Errorf("after a stop: %v", err)
	}
}

// Every operator, on a function that gives it work.
func TestOperators(t *testing.T) {
	const text = `package p
func f() {
	s.add(n, 0, a.Mul(b).SumTo(c...))
	y := plus(p, x.MatMul(w))
	z = -0.5 * u.T()
	k.n++
	s.check("f")
	g(q, r.T(), 1+h)
	if in[0].s != in[1].g || k < 3 {
		usagePanic("f", "%d", 1+2)
	}
	l = in[0].Const(5) + "'"
	m := [4]int{}
}
`
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "p.go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := &source{name: "p.go", text: []byte(text), fset: fset, ast: file}
	var got []string
	for _, m := range f.scopes(regexp.MustCompile("f"), false)[0].mutants() {
		got = append(got, m.kind+": "+m.before+" → "+m.after)
	}
	slices.Sort(got)
	want := []string{
		"another function: Mul → Div",
		"drop a call: r.T() → r",
		"drop a call: u.T() → u",
		"drop a factor: -0.5 * u.T() → -0.5",
		"drop a factor: -0.5 * u.T() → u.T()",
		"drop a factor: a.Mul(b) → a",
		"drop a factor: a.Mul(b) → b",
		"drop a statement: l = in[0].Const(5) + \"'\" → ",
		"drop a statement: g(q, r.T(), 1+h) → ",
		"drop a statement: k.n++ → ",
		"drop a statement: s.add(n, 0, a.Mul(b).SumTo(c...)) → ",
		"drop a statement: z = -0.5 * u.T() → ",
		"drop a sum: a.Mul(b).SumTo(c...) → a.Mul(b)",
		"drop a term: 1+h → 1",
		"drop a term: 1+h → h",
		"drop a term: plus(p, x.MatMul(w)) → p",
		"drop a term: plus(p, x.MatMul(w)) → x.MatMul(w)",
		"flip a sign: -0.5 → 0.5",
		"flip a sign: 0.5 → (-0.5)",
		"flip a sign: 1+h → (1 - h)",
		"flip a sign: a.Mul(b).SumTo(c...) → a.Mul(b).SumTo(c...).Neg()",
		"swap operands: g(q, r.T(), 1+h) → g(r.T(), q, 1+h)",
		"swap operands: x.MatMul(w) → w.MatMul(x)",
		"wrong constant: 0 → 1",
		"wrong constant: 0.5 → 1",
		"wrong constant: 1 → 0",
		"wrong constant: 1 → 2",
		"wrong constant: 5 → 4",
		"wrong constant: 5 → 6",
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The library's own derivatives are found, and carry their mutants as Go.
func TestTargets(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	ids, count := map[string]*mutant{}, map[string]int{}
	for _, target := range targets {
		ms, err := find(root, target, everything)
		if err != nil {
			t.Fatal(err)
		}
		count[target.dir] += len(ms)
		for _, m := range ms {
			if ids[m.id] != nil {
				t.Errorf("one id for %v and %v", m, ids[m.id])
			}
			ids[m.id] = m
		}
		if _, err := rewrite(ms); err != nil {
			t.Error(err)
		}
	}
	for dir, n := range count {
		if n < 1000 {
			t.Errorf("%s: only %d mutants", dir, n)
		}
	}
	if _, err := readEquivalents(filepath.Join(root, "internal", "mutate", "equivalent.txt")); err != nil {
		t.Error(err)
	}
}

func TestEquivalentsNeedReasons(t *testing.T) {
	path := filepath.Join(t.TempDir(), "equivalent.txt")
	read := func(text string) (map[string]string, error) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return readEquivalents(path)
	}
	why, err := read("# a comment\n\nabc f.go f: flip # because\n")
	if err != nil || why["abc"] != "because" {
		t.Errorf("%v, %v", why, err)
	}
	for _, bad := range []string{"abc f.go f: flip\n", "abc f #  \n", "abc f # x\nabc f # y\n"} {
		if _, err := read(bad); err == nil || !strings.Contains(err.Error(), path+":") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if why, err := readEquivalents(path + "x"); err != nil || len(why) > 0 {
		t.Errorf("without a list: %v, %v", why, err)
	}
	if s := staleEquivalents(map[string]string{"abc": "because"}, []*mutant{{id: "def"}}, true); !slices.Equal(s, []string{"abc"}) {
		t.Errorf("stale: %v", s)
	}
}

func TestArguments(t *testing.T) {
	good := request{options: options{workers: 1, timeout: time.Second}, list: true}
	for what, spoil := range map[string]func(*request){
		"an unknown package":  func(r *request) { r.pkgs = "nn/unknown" },
		"files":               func(r *request) { r.files = "(" },
		"functions":           func(r *request) { r.funcs = "(" },
		"tests":               func(r *request) { r.run = "(" },
		"no workers":          func(r *request) { r.workers = 0 },
		"no time":             func(r *request) { r.timeout = 0 },
		"a negative limit":    func(r *request) { r.limit = -1 },
		"less than no sample": func(r *request) { r.sample = -1 },
	} {
		r := good
		spoil(&r)
		if err := mutate(r); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

// Files and functions choose mutants, and a sample has some of every large function, the same ones again.
func TestChoosing(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	some := func(files, funcs string) []*mutant {
		match, err := newFilter(files, funcs)
		if err != nil {
			t.Fatal(err)
		}
		ms, err := find(root, targets[0], match)
		if err != nil {
			t.Fatal(err)
		}
		return ms
	}
	all, norms := some("", ""), some("tensor/norm", "Dual$")
	if len(norms) == 0 || len(norms) >= len(all) {
		t.Errorf("%d of %d mutants", len(norms), len(all))
	}
	for _, m := range norms {
		if m.file != "tensor/norm.go" || !strings.HasSuffix(m.fn, "Dual") {
			t.Errorf("%v is none of the file and functions asked for", m)
		}
	}
	all[0].why = "equivalent"
	sample := drawn(all, 100)
	if len(sample) != 100 || slices.Contains(sample, all[0]) || !slices.Equal(sample, drawn(all, 100)) || !slices.Equal(both(all, sample), both(all, drawn(all, 100))) {
		t.Errorf("a sample of 100 has %d, or changes, or has equivalent ones", len(sample))
	}
	if got := len(both(all, sample)); got != 100 {
		t.Errorf("%d of 100 in the order of the source", got)
	}
	size, has := map[*scope]int{}, map[*scope]int{}
	for _, m := range all {
		size[m.decl]++
	}
	for _, m := range sample {
		has[m.decl]++
	}
	for s, n := range size {
		if n > 2*len(all)/100 && has[s] == 0 {
			t.Errorf("none of %d mutants of %s", n, s.name)
		}
	}
	if got := len(drawn(all, len(all)+5)); got != len(all)-1 {
		t.Errorf("a sample of more than there are has %d of %d", got, len(all)-1)
	}
}

func TestKiller(t *testing.T) {
	for out, want := range map[string]string{
		"x\n--- FAIL: TestA (0.1s)\n    --- FAIL: TestA/b\n": "TestA",
		"panic: index out of range\n\ngoroutine 1":           "panic: index out of range",
		"": "?",
	} {
		if got := killer([]byte(out)); got != want {
			t.Errorf("%q: %q, want %q", out, got, want)
		}
	}
	var c capped
	if n, err := c.Write(make([]byte, 1<<17)); n != 1<<17 || err != nil || c.Len() != 1<<16 {
		t.Error(n, err, c.Len())
	}
}
