//go:build linux && !nocuda && (amd64 || arm64)

package driver

import (
	"fmt"
	"os"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"
)

// symbols are the functions that are bound, all of them since CUDA 11.4 at the
// latest. They are called by SyscallN: integers and pointers only.
type symbols struct {
	Init, DriverGetVersion, DeviceGetCount, DeviceGet, DeviceGetName, DeviceTotalMem, DeviceGetAttribute  proc
	DevicePrimaryCtxRetain, DevicePrimaryCtxRelease, CtxSetCurrent                                        proc
	ModuleLoadDataEx, ModuleUnload, ModuleGetFunction, FuncSetAttribute, LaunchKernel                     proc
	MemAlloc, MemFree, MemGetInfo, MemHostAlloc, MemFreeHost                                              proc
	MemcpyHtoDAsync, MemcpyDtoHAsync, MemcpyDtoDAsync, MemsetD8Async                                      proc
	StreamCreate, StreamDestroy, StreamSynchronize, StreamWaitEvent, StreamBeginCapture, StreamEndCapture proc
	EventCreate, EventDestroy, EventRecord, EventSynchronize, EventElapsedTime                            proc
	GraphInstantiate, GraphLaunch, GraphDestroy, GraphExecDestroy                                         proc
}

type proc struct {
	addr uintptr
	name string
}

func (s *symbols) table() map[string]*proc {
	return map[string]*proc{
		"cuInit": &s.Init, "cuDriverGetVersion": &s.DriverGetVersion, "cuDeviceGetCount": &s.DeviceGetCount,
		"cuDeviceGet": &s.DeviceGet, "cuDeviceGetName": &s.DeviceGetName, "cuDeviceTotalMem_v2": &s.DeviceTotalMem,
		"cuDeviceGetAttribute": &s.DeviceGetAttribute, "cuDevicePrimaryCtxRetain": &s.DevicePrimaryCtxRetain,
		"cuDevicePrimaryCtxRelease_v2": &s.DevicePrimaryCtxRelease, "cuCtxSetCurrent": &s.CtxSetCurrent,
		"cuModuleLoadDataEx": &s.ModuleLoadDataEx, "cuModuleUnload": &s.ModuleUnload, "cuModuleGetFunction": &s.ModuleGetFunction,
		"cuFuncSetAttribute": &s.FuncSetAttribute, "cuLaunchKernel": &s.LaunchKernel,
		"cuMemAlloc_v2": &s.MemAlloc, "cuMemFree_v2": &s.MemFree, "cuMemGetInfo_v2": &s.MemGetInfo,
		"cuMemHostAlloc": &s.MemHostAlloc, "cuMemFreeHost": &s.MemFreeHost,
		"cuMemcpyHtoDAsync_v2": &s.MemcpyHtoDAsync, "cuMemcpyDtoHAsync_v2": &s.MemcpyDtoHAsync,
		"cuMemcpyDtoDAsync_v2": &s.MemcpyDtoDAsync, "cuMemsetD8Async": &s.MemsetD8Async,
		"cuStreamCreate": &s.StreamCreate, "cuStreamDestroy_v2": &s.StreamDestroy, "cuStreamSynchronize": &s.StreamSynchronize,
		"cuStreamWaitEvent": &s.StreamWaitEvent, "cuStreamBeginCapture_v2": &s.StreamBeginCapture, "cuStreamEndCapture": &s.StreamEndCapture,
		"cuEventCreate": &s.EventCreate, "cuEventDestroy_v2": &s.EventDestroy, "cuEventRecord": &s.EventRecord,
		"cuEventSynchronize": &s.EventSynchronize, "cuEventElapsedTime": &s.EventElapsedTime,
		"cuGraphInstantiateWithFlags": &s.GraphInstantiate, "cuGraphLaunch": &s.GraphLaunch,
		"cuGraphDestroy": &s.GraphDestroy, "cuGraphExecDestroy": &s.GraphExecDestroy,
	}
}

// library is libcuda, or what stands in for it.
type library struct {
	symbols
	path    string
	version int
}

// Open binds the driver library at path. If that is empty, it is the one that the environment
// variable LANGEVIN_LIBCUDA names, or the libcuda.so.1 that the dynamic linker finds. The
// error is an *Unavailable where there is none, or none that works here.
func Open(path string) (Driver, error) {
	if path == "" {
		path = os.Getenv("LANGEVIN_LIBCUDA")
	}
	if path == "" {
		path = "libcuda.so.1"
	}
	h, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, &Unavailable{Reason: "no driver was found: " + strings.TrimSpace(err.Error()), Err: err}
	}
	l := &library{path: path}
	for name, p := range l.table() {
		addr, err := purego.Dlsym(h, name)
		if err != nil {
			return nil, &Unavailable{Reason: fmt.Sprintf("the driver %s lacks %s: langevin needs one of CUDA 11.8 or later (520)", path, name), Err: err}
		}
		*p = proc{addr, strings.TrimSuffix(name, "_v2")}
	}
	if err := l.call(&l.Init, 0); err != nil {
		reason := "the driver does not start: " + err.Error()
		if r := err.(*Error).Result; r == NoDevice {
			reason = "there is a driver but no device (" + r.Error() + ")"
		}
		return nil, &Unavailable{Reason: reason, Err: err}
	}
	var version int32
	if err := l.call(&l.DriverGetVersion, uintptr(unsafe.Pointer(&version))); err != nil {
		return nil, &Unavailable{Reason: err.Error(), Err: err}
	}
	l.version = int(version)
	if l.version < minVersion {
		return nil, &Unavailable{Reason: fmt.Sprintf("the driver is for CUDA %d.%d: langevin needs 11.8 or later (520)", l.version/1000, l.version%1000/10)}
	}
	return l, nil
}

// minVersion is the driver that reads the kernels' PTX, which is of version 7.8.
const minVersion = 11080

//go:uintptrescapes
func (l *library) call(p *proc, args ...uintptr) error {
	if r, _, _ := purego.SyscallN(p.addr, args...); int32(r) != 0 {
		return &Error{Call: p.name, Result: Result(int32(r))}
	}
	return nil
}

func (l *library) Library() string { return l.path }
func (l *library) Version() int    { return l.version }

// Device attributes (cuda.h).
const (
	attrMultiprocessors = 16
	attrMajor           = 75
	attrMinor           = 76
	attrSharedOptin     = 97
)

func (l *library) Devices() ([]Info, error) {
	var n int32
	if err := l.call(&l.DeviceGetCount, uintptr(unsafe.Pointer(&n))); err != nil {
		return nil, err
	}
	list := make([]Info, n)
	for i := range list {
		_, info, err := l.device(i)
		if err != nil {
			return nil, err
		}
		list[i] = info
	}
	return list, nil
}

func (l *library) device(i int) (handle int32, info Info, err error) {
	info.Index = i
	if err := l.call(&l.DeviceGet, uintptr(unsafe.Pointer(&handle)), uintptr(i)); err != nil {
		return 0, info, err
	}
	var name [256]byte
	if err := l.call(&l.DeviceGetName, uintptr(unsafe.Pointer(&name)), uintptr(len(name)), uintptr(handle)); err != nil {
		return 0, info, err
	}
	info.Name, _, _ = strings.Cut(string(name[:]), "\x00")
	var bytes uint64
	if err := l.call(&l.DeviceTotalMem, uintptr(unsafe.Pointer(&bytes)), uintptr(handle)); err != nil {
		return 0, info, err
	}
	info.Memory = int64(bytes)
	for attr, to := range map[uintptr]*int{attrMultiprocessors: &info.Multiprocessors, attrMajor: &info.Major, attrMinor: &info.Minor, attrSharedOptin: &info.SharedMemory} {
		var v int32
		if err := l.call(&l.DeviceGetAttribute, uintptr(unsafe.Pointer(&v)), attr, uintptr(handle)); err != nil {
			return 0, info, err
		}
		*to = int(v)
	}
	return handle, info, nil
}
