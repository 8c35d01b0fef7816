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

// 1/(1+e^−x): e^−x overflows to infinity, whose reciprocal is 0.
template <class T> __device__ __forceinline__ T sigmoid(T x) { return T(1) / (T(1) + exponential(-x)); }

// bfloat16 is x rounded to the nearest bfloat16, ties to even, as a float; NaN stays NaN.
__device__ __forceinline__ float bfloat16(float x) {
	u32 b = __float_as_uint(x);
	if (x != x) return __uint_as_float((b | 0x400000u) & 0xffff0000u);
	return __uint_as_float((b + 0x7fffu + (b >> 16 & 1u)) & 0xffff0000u);
}

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

// blockSum adds up what the threads of a block (a power of two, 1024 at most) have,
// in a fixed order, and gives the sum to all of them.
__device__ __forceinline__ double blockSum(double v) {
	__shared__ double part[1024];
	int t = threadIdx.x;
	__syncthreads();
	part[t] = v;
	for (int half = blockDim.x / 2; half > 0; half /= 2) {
		__syncthreads();
		if (t < half) part[t] += part[t + half];
	}
	__syncthreads();
	return part[0];
}

template <class T> __device__ __forceinline__ T blockMax(T v) {
	__shared__ T part[1024];
	int t = threadIdx.x;
	__syncthreads();
	part[t] = v;
	for (int half = blockDim.x / 2; half > 0; half /= 2) {
		__syncthreads();
		if (t < half) part[t] = larger(part[t], part[t + half]);
	}
	__syncthreads();
	return part[0];
}
