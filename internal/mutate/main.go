// Command mutate asks whether the tests would notice a wrong derivative. It
// changes the code of vector-Jacobian and Jacobian-vector products one small way
// at a time (a sign, a term, a factor, a broadcast's sum, an operand's place, a
// constant), runs the tests, and lists the changes that none of them noticed.
//
//	go run ./internal/mutate               everything; goes on where it stopped
//	go run ./internal/mutate -list         the mutants, without running them
//	go run ./internal/mutate -pkg tensor -func 'normDual|attentionDual'
//	go run ./internal/mutate -file 'cpu/norm'
//	go run ./internal/mutate -sample 150   some of everything
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
		stages: []stage{
			{"tensor", quick}, // has nothing in bfloat16
			{"tensor/cpu", "^TestBF16Compliance$//(" + topic + ")|^TestCompliance$///(" + topic + ")"},
			{"tensor/cpu", topic},
			{"tensor", "Golden|OfRandom"},
		},
	}
}

type options struct {
	root    string
	results string
	run     string
	workers int
	timeout time.Duration
	retry   bool
}

// request is what the command line asks for.
type request struct {
	options
	pkgs, files, funcs string
	sample             int
	list               bool
	limit              time.Duration
}

func main() {
	var r request
	flag.StringVar(&r.pkgs, "pkg", "", "packages to mutate, as folders separated by commas (default: all that have derivatives)")
	flag.StringVar(&r.files, "file", "", "only mutants of files whose path in the module matches this `regexp`")
	flag.StringVar(&r.funcs, "func", "", "only mutants of functions that match this `regexp`, written as name or Receiver.name")
	flag.IntVar(&r.sample, "sample", 0, "only `n` of the mutants chosen, spread over all functions, the same ones every time (0: all)")
	flag.StringVar(&r.run, "run", "", "run only tests that match this `regexp`, in every package")
	flag.BoolVar(&r.list, "list", false, "list the mutants and stop")
	flag.BoolVar(&r.retry, "retry", false, "run mutants again that survived before")
	flag.StringVar(&r.results, "results", "", "file of results (default: in the user's cache folder)")
	flag.IntVar(&r.workers, "workers", 2, "mutants to run at once")
	flag.DurationVar(&r.limit, "limit", 0, "stop after this time; the next run goes on (0: no limit)")
	flag.DurationVar(&r.timeout, "timeout", 90*time.Second, "for the tests of one package on one mutant")
	flag.Parse()
	err := fmt.Errorf("what is %q? packages are given with -pkg", flag.Arg(0))
	if flag.NArg() == 0 {
		err = mutate(r)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func mutate(r request) error {
	if r.workers < 1 || r.timeout <= 0 || r.limit < 0 || r.sample < 0 {
		return fmt.Errorf("-workers and -timeout must be positive, -limit and -sample not negative")
	}
	if _, err := regexp.Compile(r.run); err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	match, err := newFilter(r.files, r.funcs)
	if err != nil {
		return err
	}
	if r.root, err = moduleRoot(); err != nil {
		return err
	}
	if r.results == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("no folder for results (give -results): %w", err)
		}
		r.results = filepath.Join(cache, "langevin-mutate", "results.jsonl")
	}
	chosen, err := chooseTargets(r.pkgs)
	if err != nil {
		return err
	}
	justified, err := readEquivalents(filepath.Join(r.root, "internal", "mutate", "equivalent.txt"))
	if err != nil {
		return err
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if r.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.limit)
		defer cancel()
	}
	found := make([][]*mutant, len(chosen))
	var all []*mutant
	for i, t := range chosen {
		if found[i], err = find(r.root, t, match); err != nil {
			return err
		}
		for _, m := range found[i] {
			m.why = justified[m.id]
		}
		all = append(all, found[i]...)
	}
	stale := staleEquivalents(justified, all, r.pkgs == "" && match.all())
	if r.sample > 0 {
		all = drawn(all, r.sample)
		for i := range found {
			found[i] = both(found[i], all)
		}
	}
	if r.list {
		for _, m := range all {
			fmt.Println(m)
		}
		fmt.Println(len(all), "mutants")
		return nil
	}
	for i, t := range chosen {
		if err := runTarget(ctx, r.options, t, found[i]); err != nil {
			return err
		}
	}
	return summarise(os.Stdout, all, stale)
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
