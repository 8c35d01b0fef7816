//go:build linux && !nocuda && (amd64 || arm64)

// Package emulate runs the GPU's kernels on the host, for tests: the same text as the
// GPU's, compiled as C++ into a library that stands in for libcuda. Threads of a block are
// fibers in lock step; see host/fibers.cc and, for what counts as an error, host/libcuda.cc. So everything above
// the driver, its binding included, runs as it does with a GPU.
package emulate

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/ebitengine/purego"

	"github.com/langevin-go/langevin/tensor/cuda/driver"
	"github.com/langevin-go/langevin/tensor/cuda/kernels"
)

//go:embed host
var source embed.FS

// library is built when the text has changed, and kept in the user's cache folder.
var library = sync.OnceValues(build)

var errNoCompiler = errors.New("kernels are not tested: there is no C++ compiler (g++) to emulate a GPU with")

// Path is where the stand-in for libcuda lies. It skips the test where there is no compiler.
func Path(t testing.TB) string {
	t.Helper()
	path, err := library()
	if errors.Is(err, errNoCompiler) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Open binds the stand-in.
func Open(t testing.TB) driver.Driver {
	t.Helper()
	d, err := driver.Open(Path(t))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Counts are what lives in the stand-in, of all its users, and its launches so far.
type Counts struct {
	Memory, HostMemory, Streams, Events, Graphs, Launches, Contexts, Modules int
}

// Count asks the stand-in.
func Count(t testing.TB) Counts {
	t.Helper()
	f := symbol(t, "emulated_count")
	get := func(i uintptr) int { n, _, _ := purego.SyscallN(f, i); return int(n) }
	return Counts{get(0), get(1), get(2), get(3), get(4), get(5), get(6), get(7)}
}

// Setting is something about the stand-in that tests change.
type Setting uintptr

const (
	Devices Setting = iota // their number
	Memory                 // of a device, in bytes
	Failing                // the launch from now on that fails with CUDA_ERROR_ILLEGAL_ADDRESS; 0: none
)

// usual is what settings are when no test has changed them.
var usual = map[Setting]uintptr{Devices: 1, Memory: 1 << 30, Failing: 0}

// Set changes the stand-in for the length of a test.
func Set(t testing.TB, s Setting, value uintptr) {
	t.Helper()
	f := symbol(t, "emulated_set")
	purego.SyscallN(f, uintptr(s), value)
	t.Cleanup(func() { purego.SyscallN(f, uintptr(s), usual[s]) })
}

func symbol(t testing.TB, name string) uintptr {
	t.Helper()
	h, err := purego.Dlopen(Path(t), purego.RTLD_NOW)
	if err != nil {
		t.Fatal(err)
	}
	f, err := purego.Dlsym(h, name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var flags = []string{"-std=c++17", "-O2", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-DEMULATE", "-I.", "-Wno-unknown-pragmas"}

func build() (string, error) {
	cxx := os.Getenv("CXX")
	if cxx == "" {
		cxx = "g++"
	}
	if _, err := exec.LookPath(cxx); err != nil {
		return "", fmt.Errorf("%w: %v", errNoCompiler, err)
	}
	files, err := texts()
	if err != nil {
		return "", err
	}
	var names []string
	hash := sha256.New()
	for n := range files {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		fmt.Fprintf(hash, "%s %d\n%s", n, len(files[n]), files[n])
	}
	fmt.Fprint(hash, cxx, flags, runtime.GOARCH)
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	cache = filepath.Join(cache, "langevin", "emulate")
	lib := filepath.Join(cache, hex.EncodeToString(hash.Sum(nil)[:8])+".so")
	if _, err := os.Stat(lib); err == nil {
		return lib, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(cache, "build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	for n, text := range files {
		if err := os.WriteFile(filepath.Join(dir, n), text, 0o644); err != nil {
			return "", err
		}
	}
	if err := compile(cxx, dir, names); err != nil {
		return "", err
	}
	return lib, os.Rename(filepath.Join(dir, "lib.so"), lib)
}

// texts are all files that the library is made of.
func texts() (map[string][]byte, error) {
	m := make(map[string][]byte)
	host, err := fs.Sub(source, "host")
	if err != nil {
		return nil, err
	}
	for _, f := range []fs.FS{host, kernels.Source} {
		entries, err := fs.ReadDir(f, ".")
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if m[e.Name()], err = fs.ReadFile(f, e.Name()); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}

// compile compiles the files side by side and links them.
func compile(cxx, dir string, names []string) error {
	var wg sync.WaitGroup
	errs := make([]error, len(names))
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	link := []string{"-shared", "-o", "lib.so"}
	for i, n := range names {
		if !strings.HasSuffix(n, ".cu") && !strings.HasSuffix(n, ".cc") {
			continue
		}
		link = append(link, n+".o")
		wg.Go(func() {
			slots <- struct{}{}
			errs[i] = run(cxx, dir, append(append([]string{}, flags...), "-x", "c++", "-c", n, "-o", n+".o")...)
			<-slots
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return run(cxx, dir, link...)
}

func run(name, dir string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out.String())
	}
	return nil
}
