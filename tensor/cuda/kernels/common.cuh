// What all kernels share. They are CUDA C++ that NVRTC compiles without any
// header of the toolkit, and g++ for the host (EMULATE), where threads are fibers.
//
// A kernel has one parameter, a struct that package cuda has word by word. Sizes
// and strides count elements; strides may be 0 (an axis that repeats) or any other number.
#pragma once

#ifdef EMULATE
#include "emulate.h"
#define KERNEL(name, Param, threads)                                            \
	static void name##_body(const Param &p);                                    \
	static emulate::Kernel name##_kernel(                                       \
		#name, [](const void *p) { name##_body(*(const Param *)p); }, sizeof(Param), threads); \
	static void name##_body(const Param &p)
#define DYNAMIC_SHARED(T, name) T *name = (T *)emulate::dynamicShared
#else
#define KERNEL(name, Param, threads) \
	extern "C" __global__ void __launch_bounds__(threads) name(const __grid_constant__ Param p)
#define DYNAMIC_SHARED(T, name)                             \
	extern __shared__ __align__(16) unsigned char shared[]; \
	T *name = (T *)shared
#endif

typedef long long i64;
typedef unsigned long long u64;
typedef unsigned u32;
typedef unsigned short u16;

// 64-bit numbers come first in parameters, so that both compilers lay them out alike.
const int MAX_RANK = 8;

// Floating-point functions by type.
__device__ __forceinline__ float inf(float) { return __uint_as_float(0x7f800000u); }
__device__ __forceinline__ double inf(double) { return (double)__uint_as_float(0x7f800000u); }
__device__ __forceinline__ float exponential(float x) { return expf(x); }
__device__ __forceinline__ double exponential(double x) { return exp(x); }
__device__ __forceinline__ float logarithm(float x) { return logf(x); }
__device__ __forceinline__ double logarithm(double x) { return log(x); }

// NaN spreads, also beside infinities.
template <class T> __device__ __forceinline__ T larger(T a, T b) { return a != a || a > b ? a : b; }
template <class T> __device__ __forceinline__ T smaller(T a, T b) { return a != a || a < b ? a : b; }

// 1/(1+e^−x), by e^−|x|, which does not overflow.
template <class T> __device__ __forceinline__ T sigmoid(T x) {
	T e = exponential(x < 0 ? x : -x);
	return (x < 0 ? e : T(1)) / (T(1) + e);
}

// bfloat16 is x rounded to the nearest bfloat16, ties to even, as a float; NaN stays NaN.
__device__ __forceinline__ float bfloat16(float x) {
	u32 b = __float_as_uint(x);
	if (x != x) return __uint_as_float((b | 0x400000u) & 0xffff0000u);
	return __uint_as_float((b + 0x7fffu + (b >> 16 & 1u)) & 0xffff0000u);
}

// entering is what becomes of a number as it enters a product.
template <bool LOW> __device__ __forceinline__ float entering(float x) { return LOW ? bfloat16(x) : x; }
template <bool LOW> __device__ __forceinline__ double entering(double x) { return x; }

// Sums of many terms: up to RUN of them are added in T, these runs in double.
const int RUN = 64;

template <class T> struct Total {
	T run = 0;
	double sum = 0;
	int n = 0;
	__device__ __forceinline__ void add(T v) {
		run += v;
		if (++n == RUN) flush();
	}
	__device__ __forceinline__ void flush() { sum += run, run = 0, n = 0; }
	__device__ __forceinline__ double get() { flush(); return sum; }
};

// blockSum adds up what the threads of a block (whole warps) have, in a fixed
// order, and gives the sum to all of them; blockMax does so with the largest.
__device__ __forceinline__ double blockSum(double v) {
	__shared__ double part[32];
#pragma unroll
	for (int d = 16; d > 0; d /= 2) v += __shfl_xor_sync(0xffffffffu, v, d);
	if (blockDim.x == 32) return v;
	__syncthreads(); // the last sum has been read
	if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = v;
	__syncthreads();
	double sum = part[0];
	for (int w = 1; w < (int)blockDim.x / 32; w++) sum += part[w];
	return sum;
}

template <class T> __device__ __forceinline__ T blockMax(T v) {
	__shared__ T part[32];
#pragma unroll
	for (int d = 16; d > 0; d /= 2) v = larger(v, __shfl_xor_sync(0xffffffffu, v, d));
	if (blockDim.x == 32) return v;
	__syncthreads();
	if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = v;
	__syncthreads();
	T top = part[0];
	for (int w = 1; w < (int)blockDim.x / 32; w++) top = larger(top, part[w]);
	return top;
}
