// Threads of a block as fibers in lock step. Between two barriers the threads
// run one after the other, upwards in every other phase and downwards in the ones between,
// so that a missing barrier shows in one order or the other. What a GPU leaves undefined
// is an error: barriers that not all threads reach, or different ones.
#include "fibers.h"
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>
#include <vector>

emulate::Dim threadIdx, blockIdx, blockDim, gridDim;

namespace emulate {

unsigned char *dynamicShared;

static Kernel *kernels;

Kernel::Kernel(const char *name, void (*run)(const void *), unsigned size, unsigned threads)
	: name(name), run(run), size(size), threads(threads), next(kernels) {
	kernels = this;
}

const Kernel *find(const std::string &name) {
	for (const Kernel *k = kernels; k; k = k->next)
		if (name == k->name) return k;
	return nullptr;
}

// change saves the callee's registers and the stack pointer in *from and goes on at to.
extern "C" void emulate_change(void **from, void *to);
#if defined(__x86_64__)
asm(R"(
.text
.globl emulate_change
.hidden emulate_change
.type emulate_change,@function
emulate_change:
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret
.size emulate_change,.-emulate_change
)");
#elif defined(__aarch64__)
asm(R"(
.text
.globl emulate_change
.hidden emulate_change
.type emulate_change,%function
emulate_change:
	sub sp, sp, #160
	stp x19, x20, [sp, #0]
	stp x21, x22, [sp, #16]
	stp x23, x24, [sp, #32]
	stp x25, x26, [sp, #48]
	stp x27, x28, [sp, #64]
	stp x29, x30, [sp, #80]
	stp d8, d9, [sp, #96]
	stp d10, d11, [sp, #112]
	stp d12, d13, [sp, #128]
	stp d14, d15, [sp, #144]
	mov x9, sp
	str x9, [x0]
	mov sp, x1
	ldp x19, x20, [sp, #0]
	ldp x21, x22, [sp, #16]
	ldp x23, x24, [sp, #32]
	ldp x25, x26, [sp, #48]
	ldp x27, x28, [sp, #64]
	ldp x29, x30, [sp, #80]
	ldp d8, d9, [sp, #96]
	ldp d10, d11, [sp, #112]
	ldp d12, d13, [sp, #128]
	ldp d14, d15, [sp, #144]
	add sp, sp, #160
	ret
.size emulate_change,.-emulate_change
)");
#else
#error "emulation knows x86-64 and arm64"
#endif

enum State : unsigned char { ready, atBarrier, inExchange, done };

struct Fiber {
	void *stack;     // where it goes on
	State state;
	unsigned char turn; // which of the two exchange buffers comes next
	int line;        // of the barrier or exchange that it waits at
};

const unsigned maxThreads = 1024, stackBytes = 256 << 10;

static Fiber fibers[maxThreads];
static unsigned char *stacks;
static void *host; // the scheduler's stack
static unsigned current, count;
static Lanes buffers[maxThreads / 32][2];
static const Kernel *kernel;
static const void *argument;
static const char *fault;
static int faultLine;

static void yield(State s, int line) {
	Fiber &f = fibers[current];
	f.state = s;
	f.line = line;
	emulate_change(&f.stack, host);
}

static void body() {
	kernel->run(argument);
	yield(done, 0);
	abort(); // nobody goes on with what is done
}

void syncBlock(int line) { yield(atBarrier, line); }

unsigned lane() { return current & 31; }

const Lanes &exchange(const void *value, unsigned bytes, int line) {
	Fiber &f = fibers[current];
	Lanes &b = buffers[current / 32][f.turn];
	f.turn ^= 1;
	if (bytes) std::memcpy(b.value[current & 31], value, bytes);
	yield(inExchange, line);
	return b;
}

static void prepare(unsigned i) {
	unsigned char *top = stacks + (size_t)(i + 1) * stackBytes;
	// What emulate_change takes off: registers, then where to go.
#if defined(__x86_64__)
	void **sp = (void **)top - 1; // a callee's stack is 8 off a multiple of 16
	*--sp = (void *)body;
	for (int r = 0; r < 6; r++) *--sp = nullptr;
#else
	void **sp = (void **)(top - 160);
	std::memset(sp, 0, 160);
	sp[11] = (void *)body; // x30
#endif
	fibers[i] = Fiber{sp, ready, 0, 0};
}

static void go(unsigned i) {
	current = i;
	threadIdx.x = i;
	emulate_change(&host, fibers[i].stack);
}

// release lets threads from lo to hi that wait in state s go on, if all of them
// wait at the same line. It fails where some wait and others have ended or wait elsewhere.
static bool release(unsigned lo, unsigned hi, State s, bool &freed) {
	unsigned waiting = 0;
	for (unsigned i = lo; i < hi; i++) waiting += fibers[i].state == s;
	if (!waiting) return true;
	if (waiting < hi - lo) { // nobody is left who could still come
		fault = s == atBarrier ? "not all threads of a block reach a barrier" : "not all lanes of a warp take part in an exchange";
		for (unsigned i = lo; i < hi; i++)
			if (fibers[i].state == s) faultLine = fibers[i].line;
		return false;
	}
	for (unsigned i = lo; i < hi; i++) {
		if (fibers[i].line != fibers[lo].line) {
			fault = "threads wait at different barriers", faultLine = fibers[i].line;
			return false;
		}
	}
	for (unsigned i = lo; i < hi; i++) fibers[i].state = ready;
	freed = true;
	return true;
}

static bool runBlock() {
	for (unsigned i = 0; i < count; i++) prepare(i);
	for (unsigned phase = 0;; phase++) {
		for (unsigned n = 0; n < count; n++) {
			unsigned i = phase & 1 ? count - 1 - n : n;
			if (fibers[i].state == ready) go(i);
		}
		bool freed = false;
		for (unsigned w = 0; w < count; w += 32)
			if (!release(w, w + 32 < count ? w + 32 : count, inExchange, freed)) return false;
		if (freed) continue;
		if (!release(0, count, atBarrier, freed)) return false;
		if (!freed) return true;
	}
}

bool run(const Kernel *k, Dim grid, unsigned threads, unsigned shared, const void *param, std::string &why) {
	if (!stacks) {
		stacks = (unsigned char *)mmap(nullptr, (size_t)maxThreads * stackBytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (stacks == MAP_FAILED) {
			stacks = nullptr, why = "no memory for the fibers' stacks";
			return false;
		}
	}
	// NaN in shared memory that nobody has written.
	std::vector<unsigned char> memory(shared + 64, 0xff);
	dynamicShared = (unsigned char *)(((size_t)memory.data() + 15) & ~(size_t)15);
	kernel = k, argument = param, count = threads;
	gridDim = grid, blockDim = Dim{threads, 1, 1}, threadIdx = Dim{0, 0, 0};
	for (blockIdx.z = 0; blockIdx.z < grid.z; blockIdx.z++)
		for (blockIdx.y = 0; blockIdx.y < grid.y; blockIdx.y++)
			for (blockIdx.x = 0; blockIdx.x < grid.x; blockIdx.x++)
				if (!runBlock()) {
					char text[256];
					snprintf(text, sizeof text, "%s: %s (line %d)", k->name, fault, faultLine);
					why = text;
					return false;
				}
	return true;
}

} // namespace emulate
