// Philox4x32-10 and the normals made of it, bit for bit those of package rng:
// every product and sum is rounded on its own.
#include "common.cuh"

struct Random {
	u64 out;
	u64 first;   // sample of row 0
	i64 rows, n; // elements of a row
	u32 k0, k1;
	int normal, unused;
};

struct Words { u32 w[4]; };

__device__ __forceinline__ Words philox(u32 c0, u32 c1, u32 c2, u32 c3, u32 k0, u32 k1) {
	const u32 m0 = 0xD2511F53u, m1 = 0xCD9E8D57u;
#pragma unroll
	for (int i = 0; i < 10; i++) {
		u32 h0 = __umulhi(m0, c0), l0 = m0 * c0, h1 = __umulhi(m1, c2), l1 = m1 * c2;
		c0 = h1 ^ c1 ^ k0, c1 = l1, c2 = h0 ^ c3 ^ k1, c3 = l0;
		k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
	}
	return Words{{c0, c1, c2, c3}};
}

__device__ __forceinline__ float mul(float a, float b) { return __fmul_rn(a, b); }
__device__ __forceinline__ float add(float a, float b) { return __fadd_rn(a, b); }

// ln u for u in [2⁻²⁵, 1]: rng.logf.
__device__ __forceinline__ float logUnit(float u) {
	u32 bits = __float_as_uint(u);
	int e = (int)(bits >> 23) - 127;
	float m = __uint_as_float((bits & 0x7fffffu) | 127u << 23);
	if (m >= 1.4142135f) m = mul(m, 0.5f), e++;
	float s = __fdiv_rn(add(m, -1.0f), add(m, 1.0f));
	float z = mul(s, s);
	float p = (float)(1.0 / 9);
	p = add(mul(p, z), (float)(1.0 / 7));
	p = add(mul(p, z), (float)(1.0 / 5));
	p = add(mul(p, z), (float)(1.0 / 3));
	p = mul(mul(p, z), s);
	p = add(s, p);
	p = mul(2.0f, p);
	return add(mul((float)e, (float)0.693145752), add(p, mul((float)e, (float)1.42860677e-6)));
}

// sin and cos of 2πv/2²⁴: rng.sincosTurn.
__device__ __forceinline__ void sincosTurn(u32 v, float &sin, float &cos) {
	u32 q = (v + (1u << 21)) >> 22;
	int d = (int)v - (int)(q << 22);
	float x = mul((float)d, (float)(2 * 3.14159265358979323846 / (1 << 24)));
	float z = mul(x, x);
	float s = (float)2.75573192e-6;
	s = add(mul(s, z), -(float)1.98412698e-4);
	s = add(mul(s, z), (float)8.33333333e-3);
	s = add(mul(s, z), -(float)0.166666667);
	s = mul(mul(s, z), x);
	s = add(x, s);
	float c = (float)2.48015873e-5;
	c = add(mul(c, z), -(float)1.38888889e-3);
	c = add(mul(c, z), (float)4.16666667e-2);
	c = add(mul(c, z), -0.5f);
	c = add(mul(c, z), 1.0f);
	switch (q & 3) {
	case 0: sin = s, cos = c; break;
	case 1: sin = c, cos = -s; break;
	case 2: sin = -s, cos = -c; break;
	default: sin = -c, cos = s;
	}
}

__device__ __forceinline__ void boxMuller(u32 a, u32 b, float &x, float &y) {
	float u = mul((float)(2 * (a >> 8) + 1), (float)(1.0 / (1 << 25)));
	float r = __fsqrt_rn(mul(-2.0f, logUnit(u)));
	float s, c;
	sincosTurn(b >> 8, s, c);
	x = mul(r, c), y = mul(r, s);
}

// A thread makes a block of four elements of a row.
template <class T> __device__ __forceinline__ void random(const Random &p) {
	i64 blocks = (p.n + 3) / 4;
	i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
	if (i >= p.rows * blocks) return;
	i64 row = i / blocks, b = i % blocks;
	u64 sample = p.first + (u64)row;
	Words w = philox((u32)sample, (u32)(sample >> 32), (u32)b, (u32)((u64)b >> 32), p.k0, p.k1);
	float v[4];
	if (p.normal) {
		boxMuller(w.w[0], w.w[1], v[0], v[1]);
		boxMuller(w.w[2], w.w[3], v[2], v[3]);
	} else {
#pragma unroll
		for (int j = 0; j < 4; j++) v[j] = mul((float)(w.w[j] >> 8), (float)(1.0 / (1 << 24)));
	}
	T *out = (T *)p.out + row * p.n + 4 * b;
#pragma unroll
	for (int j = 0; j < 4; j++)
		if (4 * b + j < p.n) out[j] = (T)v[j];
}

KERNEL(random_f32, Random, 128) { random<float>(p); }
KERNEL(random_f64, Random, 128) { random<double>(p); }
