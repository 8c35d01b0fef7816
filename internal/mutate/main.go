// Command mutate asks whether the tests would notice a wrong derivative. It
// changes the code of vector-Jacobian and Jacobian-vector products one small way
// at a time (a sign, a term, a factor, a broadcast's sum, an operand's place, a
// constant), runs the tests, and lists the changes that none of them noticed.
//
//	go run ./internal/mutate               everything; goes on where it stopped
//	go run ./internal/mutate -list         the mutants, without running them
//	go run ./internal/mutate -pkg tensor -func 'normDual|attentionDual'
//	go run ./internal/mutate -retry        survivors again, after writing tests
//
// No file of the tree is touched: a package is built once, through an overlay in
// which every function carries all its mutants, and a run of the test binary picks
// one by number. Results are kept outside the tree, by what was changed and the
// text of the function around it, so that a second run has little to do.
//
// A mutant that computes the same as the original is written down in
// equivalent.txt with the reason. The exit status is 1 while others survive.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// target is a package whose derivatives are mutated, and the tests that should notice.
type target struct {
	dir     string
	include string  // functions, as name or Receiver.name
	exprs   bool    // also package variables made of function literals: elementwise operations
	stages  []stage // in turn, until one fails
}

// stage is a run of a package's tests.
type stage struct {
	dir string
	run string // -test.run; empty: all
}

// quick are the tests that notice most.
const quick = "^Test(Elementwise|Shape|Reduce|Matrix|Conv|Norm|Attention)Gradients$"

var targets = []target{
	{
		dir: "tensor",
		include: `\.vjp$|vjp(Through|Graph|Op)|^Scope\.(add|addToSlice|convInput|convWeight|scatter|differentiate|Divergence|HutchinsonDivergence)$|` +
			`[dD]ual$|^linear1$|^plus$|\.strip$|\.(jvpOp|jvpSum|inputGrad|jointProgram|gradParts|adjoints|unslice|SumTo|extreme)$|` +
			`Composite$|^normalised$|^reduceAffine$|^safePowExpr$|\.cumSum$|^Custom\.fit$`,
		exprs:  true,
		stages: []stage{{"tensor", quick}, {"tensor", "Gradients|Golden|Random"}, {"tensor", ""}},
	},
	kernels("Attention|Softmax", `[aA]ttention.*(backward|Grad)|[sS]oftmaxGrad`),
	kernels("Norm", `^normTask\..*(Grad|layerSums|behindSilu)|^goNorm(Sums|.*Grad)|^goAddProducts$|^siluGrad$|^Device\.NormGrad$`),
	kernels("Conv", `^conv.*\.(backward|inputGrad|weightGrad|outputAt)$|^Device\.Conv.*Grad$`),
	kernels("Gather|Scatter", `ScatterAdd$|addRow$`),
}

// kernels are those of a topic, in the names of tests.
func kernels(topic, include string) target {
	return target{
		dir:     "tensor/cpu",
		include: include,
		stages:  []stage{{"tensor", quick}, {"tensor/cpu", topic + "|Compliance///" + topic}, {"tensor", "Golden|OfRandom"}},
	}
}

type options struct {
	root    string
	results string
	run     string
	funcs   *regexp.Regexp
	workers int
	timeout time.Duration
	retry   bool
}

func main() {
	var (
		pkgs    = flag.String("pkg", "", "packages to mutate, as folders separated by commas (default: all that have derivatives)")
		funcs   = flag.String("func", "", "only mutants of functions that match this `regexp`, written as name or Receiver.name")
		run     = flag.String("run", "", "run only tests that match this `regexp`, in every package")
		list    = flag.Bool("list", false, "list the mutants and stop")
		retry   = flag.Bool("retry", false, "run mutants again that survived before")
		results = flag.String("results", "", "file of results (default: in the user's cache folder)")
		workers = flag.Int("workers", 2, "mutants to run at once")
		limit   = flag.Duration("limit", 0, "stop after this time; the next run goes on (0: no limit)")
		timeout = flag.Duration("timeout", 90*time.Second, "for the tests of one package on one mutant")
	)
	flag.Parse()
	if err := mutate(*pkgs, *funcs, *run, *list, *retry, *results, *workers, *limit, *timeout); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func mutate(pkgs, funcs, run string, list, retry bool, results string, workers int, limit, timeout time.Duration) error {
	if flag.NArg() > 0 {
		return fmt.Errorf("what is %q? packages are given with -pkg", flag.Arg(0))
	}
	if workers < 1 || timeout <= 0 || limit < 0 {
		return fmt.Errorf("-workers and -timeout must be positive, -limit not negative")
	}
	match, err := regexp.Compile(funcs)
	if err != nil {
		return fmt.Errorf("-func: %w", err)
	}
	if _, err := regexp.Compile(run); err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	if results == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("no folder for results (give -results): %w", err)
		}
		results = filepath.Join(cache, "langevin-mutate", "results.jsonl")
	}
	chosen, err := chooseTargets(pkgs)
	if err != nil {
		return err
	}
	justified, err := readEquivalents(filepath.Join(root, "internal", "mutate", "equivalent.txt"))
	if err != nil {
		return err
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	o := options{root: root, results: results, run: run, funcs: match, workers: workers, timeout: timeout, retry: retry}
	var all []*mutant
	for _, t := range chosen {
		ms, err := find(root, t, match)
		if err != nil {
			return err
		}
		for _, m := range ms {
			m.why = justified[m.id]
		}
		if !list {
			if err := runTarget(ctx, o, t, ms); err != nil {
				return err
			}
		}
		all = append(all, ms...)
	}
	if list {
		for _, m := range all {
			fmt.Println(m)
		}
		fmt.Println(len(all), "mutants")
		return nil
	}
	return summarise(os.Stdout, all, staleEquivalents(justified, all, pkgs == "" && funcs == ""))
}

func chooseTargets(pkgs string) ([]target, error) {
	if pkgs == "" {
		return targets, nil
	}
	var chosen []target
	for _, name := range strings.Split(pkgs, ",") {
		name = strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(name), "./"), "/")
		found := false
		for _, t := range targets {
			if t.dir == name {
				chosen, found = append(chosen, t), true
			}
		}
		if !found {
			var known []string
			for _, t := range targets {
				known = append(known, t.dir)
			}
			return nil, fmt.Errorf("-pkg: no derivatives in %q; there are %s", name, strings.Join(known, ", "))
		}
	}
	return chosen, nil
}

// moduleRoot is the folder above the working directory that holds go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("%s is not within a module", dir)
		}
	}
}
