// What kernels see of CUDA when they are compiled as C++ for the host. A block's
// threads are fibers of one host thread; a fiber runs until it meets a barrier.
// See fibers.cc.
#pragma once
#include <cmath>
#include <cstring>

#define __device__
#define __global__
#define __forceinline__ inline
#define __restrict__
#define __shared__ static
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

namespace emulate {

struct Dim { unsigned x, y, z; };

// A kernel's entry: kernels register themselves when the library is loaded.
struct Kernel {
	const char *name;
	void (*run)(const void *param);
	unsigned size;    // of the parameter
	unsigned threads; // that a block may have
	Kernel *next;
	Kernel(const char *name, void (*run)(const void *), unsigned size, unsigned threads);
};

// Where barriers are: all threads must wait at the same one.
void syncBlock(int line);
// exchange gives what each lane of the warp put in, after all have. The buffer is
// valid until the lane's next but one exchange.
struct Lanes { unsigned char value[32][16]; };
const Lanes &exchange(const void *value, unsigned bytes, int line);
unsigned lane();
extern unsigned char *dynamicShared;

template <class T> T shuffle(T v, unsigned from, int line) {
	const Lanes &all = exchange(&v, sizeof v, line);
	T r;
	std::memcpy(&r, all.value[from & 31], sizeof r);
	return r;
}

} // namespace emulate

extern emulate::Dim threadIdx, blockIdx, blockDim, gridDim;

#define __syncthreads() emulate::syncBlock(__LINE__)
#define __syncwarp(...) ((void)emulate::exchange(nullptr, 0, __LINE__))
#define __shfl_xor_sync(mask, v, d) emulate::shuffle(v, emulate::lane() ^ (d), __LINE__)
#define __shfl_sync(mask, v, l) emulate::shuffle(v, l, __LINE__)

// Arithmetic that is rounded as it stands: this is compiled without contraction.
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned long long)a * b >> 32; }
inline unsigned __float_as_uint(float v) { unsigned r; std::memcpy(&r, &v, 4); return r; }
inline float __uint_as_float(unsigned v) { float r; std::memcpy(&r, &v, 4); return r; }
inline float rsqrtf(float x) { return 1 / sqrtf(x); }
inline double rsqrt(double x) { return 1 / sqrt(x); }
template <class T> T min(T a, T b) { return b < a ? b : a; }
template <class T> T max(T a, T b) { return a < b ? b : a; }
