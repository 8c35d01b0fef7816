// A libcuda whose device is the host: it runs kernels by fibers (fibers.cc) and
// is strict where a GPU is lenient. Copies outside of allocations, launches that do not fit the
// kernel, memory that is freed twice, and stale handles are errors. emulated_set and
// emulated_count are for tests.
#include "fibers.h"
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

typedef int Result;
enum { OK = 0, INVALID = 1, NO_MEMORY = 2, NOT_INITIALIZED = 3, NO_DEVICE = 100, BAD_DEVICE = 101, BAD_IMAGE = 218, NO_CONTEXT = 201, BAD_HANDLE = 400, NOT_FOUND = 500, ILLEGAL_ADDRESS = 700, NO_RESOURCES = 701, FAILED = 719 };

namespace {

struct Module { std::string text; };
struct Function { const emulate::Kernel *kernel; unsigned shared = 48 << 10, fixed = 0; };
typedef std::vector<std::function<Result()>> Graph;
struct Stream { std::shared_ptr<Graph> capture; };
struct Event { bool recorded = false; };

std::mutex lock; // of everything
bool started;
int devices = 1;
size_t limit = (size_t)1 << 30;
std::map<size_t, size_t> memory, hostMemory; // address → bytes
size_t used;
std::set<Module *> modules;
std::map<std::string, Function> functions;
std::set<Stream *> streams;
std::set<Event *> events;
std::set<std::shared_ptr<Graph>> graphs;
long launches, retains;
long failing;  // the launch, counted from now, that fails; 0: none
Result sticky; // a context stays broken once a kernel has failed
thread_local int current = 0;

#define API extern "C" __attribute__((visibility("default"))) Result
#define GUARD std::lock_guard<std::mutex> guard(lock); if (!started) return NOT_INITIALIZED; if (sticky) return sticky
#define CONTEXT GUARD; if (!current) return NO_CONTEXT

Result complain(Result r, const char *what) {
	fprintf(stderr, "emulated CUDA: %s\n", what);
	return r;
}

bool inside(const std::map<size_t, size_t> &m, size_t p, size_t n) {
	auto it = m.upper_bound(p);
	if (it == m.begin()) return n == 0;
	--it;
	return p + n <= it->first + it->second;
}

// perform does now what a stream is told to, or notes it for a graph.
Result perform(Stream *s, std::function<Result()> f) {
	if (s && !streams.count(s)) return complain(BAD_HANDLE, "a stream that was destroyed");
	if (s && s->capture) {
		s->capture->push_back(std::move(f));
		return OK;
	}
	return f();
}

} // namespace

API cuInit(unsigned) {
	std::lock_guard<std::mutex> guard(lock);
	if (devices < 1) return NO_DEVICE;
	started = true;
	return OK;
}
API cuDriverGetVersion(int *v) { *v = 11080; return OK; }
API cuDeviceGetCount(int *n) { GUARD; *n = devices; return OK; }
API cuDeviceGet(int *d, int i) { GUARD; if (i < 0 || i >= devices) return BAD_DEVICE; *d = i; return OK; }
API cuDeviceGetName(char *name, int n, int d) { GUARD; snprintf(name, n, "emulation %d", d); return OK; }
API cuDeviceTotalMem_v2(size_t *n, int) { GUARD; *n = limit; return OK; }
API cuDeviceGetAttribute(int *v, int attribute, int) {
	GUARD;
	switch (attribute) {
	case 16: *v = 4; return OK;
	case 75: *v = 8; return OK;
	case 76: *v = 0; return OK;
	case 97: *v = 163 << 10; return OK;
	}
	return INVALID;
}
API cuDevicePrimaryCtxRetain(size_t *c, int d) { GUARD; retains++; *c = d + 1; return OK; }
API cuDevicePrimaryCtxRelease_v2(int) { GUARD; if (retains-- < 1) return complain(NO_CONTEXT, "a context was released too often"); return OK; }
API cuCtxSetCurrent(size_t c) { current = (int)c; return OK; }

API cuModuleLoadDataEx(Module **m, const char *image, unsigned n, const int *options, void **values) {
	CONTEXT;
	if (!strstr(image, ".version") || !strstr(image, ".target sm_80")) {
		for (unsigned i = 0; i < n; i++)
			if (options[i] == 5) strcpy((char *)values[i], "ptxas fatal: this is no PTX for sm_80");
		return BAD_IMAGE;
	}
	modules.insert(*m = new Module{image});
	return OK;
}
API cuModuleUnload(Module *m) { CONTEXT; if (!modules.erase(m)) return BAD_HANDLE; delete m; return OK; }
API cuModuleGetFunction(Function **f, Module *m, const char *name) {
	CONTEXT;
	if (!modules.count(m)) return BAD_HANDLE;
	// The PTX must have it as the emulation does: with a parameter of the same size.
	auto at = m->text.find(std::string(".entry ") + name + "(");
	const emulate::Kernel *k = emulate::find(name);
	if (at == std::string::npos || !k) return NOT_FOUND;
	char param[160];
	snprintf(param, sizeof param, "%s_param_0[%u]", name, k->size);
	if (m->text.find(param, at) == std::string::npos) return complain(INVALID, (std::string(name) + ": the PTX has a parameter of another size").c_str());
	Function &fn = functions[name];
	fn.kernel = k;
	*f = &fn;
	return OK;
}
API cuFuncSetAttribute(Function *f, int attribute, int v) {
	CONTEXT;
	if (attribute != 8 || v > 163 << 10) return INVALID;
	f->shared = v;
	return OK;
}

API cuMemAlloc_v2(size_t *p, size_t n) {
	CONTEXT;
	if (!n) return INVALID;
	if (used + n > limit) return NO_MEMORY;
	void *v;
	if (posix_memalign(&v, 256, n)) return NO_MEMORY;
	std::memset(v, 0xff, n); // a GPU's is not zero either
	memory[*p = (size_t)v] = n;
	used += n;
	return OK;
}
API cuMemFree_v2(size_t p) {
	CONTEXT;
	auto it = memory.find(p);
	if (it == memory.end()) return complain(INVALID, "memory was freed that is not allocated");
	used -= it->second;
	free((void *)p);
	memory.erase(it);
	return OK;
}
API cuMemGetInfo_v2(size_t *rest, size_t *total) { CONTEXT; *rest = limit - used; *total = limit; return OK; }
API cuMemHostAlloc(size_t *p, size_t n, unsigned) { CONTEXT; hostMemory[*p = (size_t)malloc(n)] = n; return OK; }
API cuMemFreeHost(size_t p) { CONTEXT; if (!hostMemory.erase(p)) return complain(INVALID, "host memory was freed that is not allocated"); free((void *)p); return OK; }

API cuMemcpyHtoDAsync_v2(size_t d, const void *h, size_t n, Stream *s) {
	CONTEXT;
	if (!inside(memory, d, n)) return complain(INVALID, "a copy to the device is out of bounds");
	return perform(s, [=] { std::memcpy((void *)d, h, n); return OK; });
}
API cuMemcpyDtoHAsync_v2(void *h, size_t d, size_t n, Stream *s) {
	CONTEXT;
	if (!inside(memory, d, n)) return complain(INVALID, "a copy from the device is out of bounds");
	return perform(s, [=] { std::memcpy(h, (void *)d, n); return OK; });
}
API cuMemcpyDtoDAsync_v2(size_t d, size_t from, size_t n, Stream *s) {
	CONTEXT;
	if (!inside(memory, d, n) || !inside(memory, from, n)) return complain(INVALID, "a copy on the device is out of bounds");
	return perform(s, [=] { std::memmove((void *)d, (void *)from, n); return OK; });
}
API cuMemsetD8Async(size_t d, unsigned char v, size_t n, Stream *s) {
	CONTEXT;
	if (!inside(memory, d, n)) return complain(INVALID, "clearing out of bounds");
	return perform(s, [=] { std::memset((void *)d, v, n); return OK; });
}

API cuStreamCreate(Stream **s, unsigned) { CONTEXT; streams.insert(*s = new Stream); return OK; }
API cuStreamDestroy_v2(Stream *s) { CONTEXT; if (!streams.erase(s)) return BAD_HANDLE; delete s; return OK; }
API cuStreamSynchronize(Stream *s) {
	CONTEXT;
	if (s && (!streams.count(s) || s->capture)) return complain(INVALID, "waiting for a stream that captures, or is gone");
	return OK;
}
API cuStreamWaitEvent(Stream *s, Event *e, unsigned) { CONTEXT; return !events.count(e) || (s && !streams.count(s)) ? BAD_HANDLE : OK; }
API cuStreamBeginCapture_v2(Stream *s, int) {
	CONTEXT;
	if (!streams.count(s) || s->capture) return INVALID;
	s->capture = std::make_shared<Graph>();
	return OK;
}
API cuStreamEndCapture(Stream *s, Graph **g) {
	CONTEXT;
	if (!streams.count(s) || !s->capture) return INVALID;
	*g = s->capture.get();
	graphs.insert(std::move(s->capture));
	s->capture = nullptr;
	return OK;
}
API cuGraphInstantiateWithFlags(Graph **x, Graph *g, unsigned long long) { CONTEXT; auto copy = std::make_shared<Graph>(*g); *x = copy.get(); graphs.insert(copy); return OK; }
static Result forget(Graph *g) {
	for (auto it = graphs.begin(); it != graphs.end(); ++it)
		if (it->get() == g) return graphs.erase(it), OK;
	return complain(BAD_HANDLE, "a graph that was destroyed");
}
API cuGraphDestroy(Graph *g) { CONTEXT; return forget(g); }
API cuGraphExecDestroy(Graph *g) { CONTEXT; return forget(g); }
API cuGraphLaunch(Graph *g, Stream *s) {
	CONTEXT;
	for (auto &f : *g)
		if (Result r = perform(s, f)) return r;
	return OK;
}

API cuEventCreate(Event **e, unsigned) { CONTEXT; events.insert(*e = new Event); return OK; }
API cuEventDestroy_v2(Event *e) { CONTEXT; if (!events.erase(e)) return BAD_HANDLE; delete e; return OK; }
API cuEventRecord(Event *e, Stream *) { CONTEXT; if (!events.count(e)) return BAD_HANDLE; e->recorded = true; return OK; }
API cuEventSynchronize(Event *e) { CONTEXT; return events.count(e) ? OK : BAD_HANDLE; }
API cuEventElapsedTime(float *ms, Event *a, Event *b) { CONTEXT; if (!a->recorded || !b->recorded) return BAD_HANDLE; *ms = 0; return OK; }

API cuLaunchKernel(Function *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, Stream *s, void **params, void **) {
	CONTEXT;
	const emulate::Kernel *k = f->kernel;
	if (!gx || !gy || !gz || gx > 0x7fffffff || gy > 65535 || gz > 65535) return complain(INVALID, (std::string(k->name) + ": a grid that is empty or too large").c_str());
	if (!bx || by != 1 || bz != 1 || bx > 1024) return complain(INVALID, (std::string(k->name) + ": a block that is empty or too large").c_str());
	if (bx > k->threads) return complain(NO_RESOURCES, (std::string(k->name) + ": more threads than its launch bounds").c_str());
	if (shared > f->shared) return complain(INVALID, (std::string(k->name) + ": more shared memory than it was allowed").c_str());
	std::string param((const char *)params[0], k->size);
	launches++;
	return perform(s, [=] {
		if (failing && !--failing) return sticky = ILLEGAL_ADDRESS;
		std::string why;
		if (emulate::run(k, emulate::Dim{gx, gy, gz}, bx, shared, param.data(), why)) return (Result)OK;
		return sticky = complain(FAILED, why.c_str());
	});
}

// What tests set: the number of devices, their bytes of memory, which launch fails (0: none, and
// all is well again).
extern "C" __attribute__((visibility("default"))) void emulated_set(int what, long value) {
	std::lock_guard<std::mutex> guard(lock);
	switch (what) {
	case 0: devices = (int)value; break;
	case 1: limit = value; break;
	case 2: failing = value, sticky = OK; break;
	}
}

// What tests ask: allocations, streams, events, graphs that live; launches so far.
extern "C" __attribute__((visibility("default"))) long emulated_count(int what) {
	std::lock_guard<std::mutex> guard(lock);
	switch (what) {
	case 0: return (long)memory.size();
	case 1: return (long)hostMemory.size();
	case 2: return (long)streams.size();
	case 3: return (long)events.size();
	case 4: return (long)graphs.size();
	case 5: return launches;
	case 6: return retains;
	case 7: return (long)modules.size();
	}
	return -1;
}
