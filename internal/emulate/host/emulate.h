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
struct Lanes { unsigned char value[32][32]; };
const Lanes &exchange(const void *value, unsigned bytes, int line);
unsigned lane();
extern unsigned char *dynamicShared;

template <class T> T shuffle(T v, unsigned from, int line) {
	const Lanes &all = exchange(&v, sizeof v, line);
	T r;
	std::memcpy(&r, all.value[from & 31], sizeof r);
	return r;
}

// multiply is mma.m16n8k16 of bfloat16 numbers, whose layout PTX ISA gives: element (r,k) of A is half k%2 of word
// (r≥8) + 2·(k≥8) of lane 4·(r%8) + (k%8)/2; element (k,n) of B is half k%2 of word (k≥8) of lane 4n + (k%8)/2.
inline void multiply(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2], int line) {
	struct Words { unsigned a[4], b[2]; } mine;
	std::memcpy(mine.a, a, sizeof a);
	std::memcpy(mine.b, b, sizeof b);
	const Lanes &all = exchange(&mine, sizeof mine, line);
	auto half = [](unsigned word, int k) {
		unsigned bits = k % 2 ? word & 0xffff0000u : word << 16;
		float v;
		std::memcpy(&v, &bits, 4);
		return v;
	};
	int g = lane() / 4, t = lane() % 4 * 2;
	for (int k = 0; k < 16; k++) {
		Words left, right[2];
		std::memcpy(&left, all.value[4 * g + k % 8 / 2], sizeof left);
		for (int j = 0; j < 2; j++) std::memcpy(&right[j], all.value[4 * (t + j) + k % 8 / 2], sizeof left);
		for (int e = 0; e < 4; e++)
			c[e] += half(left.a[e / 2 + 2 * (k >= 8)], k) * half(right[e % 2].b[k >= 8], k);
	}
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
