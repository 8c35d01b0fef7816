//go:build linux && !nocuda && (amd64 || arm64)

// Package nvrtc compiles CUDA C++ to PTX by NVIDIA's run-time compiler, bound
// without cgo. No GPU is needed for that.
package nvrtc

import (
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Compiler is a bound library.
type Compiler struct {
	create, compile, destroy, logSize, log, ptxSize, ptx, version uintptr
}

// Open binds the library at path, or the newest one that the dynamic linker finds if path is empty.
func Open(path string) (*Compiler, error) {
	names := []string{path}
	if path == "" {
		names = []string{"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2"}
	}
	var failed error
	for _, n := range names {
		h, err := purego.Dlopen(n, purego.RTLD_NOW|purego.RTLD_GLOBAL)
		if err != nil {
			failed = err
			continue
		}
		c := new(Compiler)
		for name, to := range map[string]*uintptr{
			"nvrtcCreateProgram": &c.create, "nvrtcCompileProgram": &c.compile, "nvrtcDestroyProgram": &c.destroy,
			"nvrtcGetProgramLogSize": &c.logSize, "nvrtcGetProgramLog": &c.log, "nvrtcGetPTXSize": &c.ptxSize,
			"nvrtcGetPTX": &c.ptx, "nvrtcVersion": &c.version,
		} {
			if *to, err = purego.Dlsym(h, name); err != nil {
				return nil, fmt.Errorf("%s: %w", n, err)
			}
		}
		return c, nil
	}
	return nil, failed
}

// Version is the library's version.
func (c *Compiler) Version() (major, minor int) {
	var a, b int32
	purego.SyscallN(c.version, uintptr(unsafe.Pointer(&a)), uintptr(unsafe.Pointer(&b)))
	return int(a), int(b)
}

// Error is a program that does not compile, with the compiler's log.
type Error struct{ Name, Log string }

func (e *Error) Error() string { return fmt.Sprintf("%s does not compile:\n%s", e.Name, e.Log) }

func (c *Compiler) check(r uintptr, call string) error {
	if int32(r) == 0 {
		return nil
	}
	return fmt.Errorf("%s: error %d", call, int32(r))
}

// strings for C, pinned as long as the array is in use.
func cStrings(pin *runtime.Pinner, list []string) []*byte {
	out := make([]*byte, len(list)+1)
	for i, s := range list {
		b := append([]byte(s), 0)
		pin.Pin(&b[0])
		out[i] = &b[0]
	}
	pin.Pin(&out[0])
	return out
}

// Compile compiles source, which may include headers by their names.
func (c *Compiler) Compile(name, source string, headers map[string]string, options ...string) (ptx []byte, err error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	var names, texts []string
	for n, t := range headers {
		names, texts = append(names, n), append(texts, t)
	}
	text := cStrings(&pin, []string{source, name})
	h, n, o := cStrings(&pin, texts), cStrings(&pin, names), cStrings(&pin, options)
	var program uintptr
	r, _, _ := purego.SyscallN(c.create, uintptr(unsafe.Pointer(&program)), uintptr(unsafe.Pointer(text[0])), uintptr(unsafe.Pointer(text[1])),
		uintptr(len(names)), uintptr(unsafe.Pointer(&h[0])), uintptr(unsafe.Pointer(&n[0])))
	if err := c.check(r, "nvrtcCreateProgram"); err != nil {
		return nil, err
	}
	defer purego.SyscallN(c.destroy, uintptr(unsafe.Pointer(&program)))
	if r, _, _ := purego.SyscallN(c.compile, program, uintptr(len(options)), uintptr(unsafe.Pointer(&o[0]))); int32(r) != 0 {
		log, err := c.text(c.logSize, c.log, program)
		if err != nil {
			return nil, err
		}
		return nil, &Error{Name: name, Log: strings.TrimSpace(string(log))}
	}
	return c.text(c.ptxSize, c.ptx, program)
}

// text is what a pair of functions says, without the zero at its end.
func (c *Compiler) text(size, get, program uintptr) ([]byte, error) {
	var n uint64
	r, _, _ := purego.SyscallN(size, program, uintptr(unsafe.Pointer(&n)))
	if err := c.check(r, "nvrtc: the size of a text"); err != nil {
		return nil, err
	}
	out := make([]byte, n+1)
	r, _, _ = purego.SyscallN(get, program, uintptr(unsafe.Pointer(&out[0])))
	if err := c.check(r, "nvrtc: a text"); err != nil {
		return nil, err
	}
	s, _, _ := strings.Cut(string(out), "\x00")
	return []byte(s), nil
}
