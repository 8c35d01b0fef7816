// What attention does to rows of scores between the matrix products. Scores are
// dense, (samples, heads, queries, keys), of some queries of the whole; a block has a row.
#include "common.cuh"

struct Rows { // (samples, heads, queries, …) of some operand; base 0: absent
	u64 base;
	i64 sample, head, position, inner; // strides
};

struct Attention {
	i64 heads, queries, keys, width; // width: of a head
	double scale;
	u64 scores, gradient; // P, and dP that becomes dS
	Rows mask, lse, o, dO;
};

template <class T> __device__ __forceinline__ T *row(const Rows &r, i64 n, i64 h, i64 q) {
	return (T *)r.base + n * r.sample + h * r.head + q * r.position;
}

struct Where {
	i64 n, h, q;
	__device__ __forceinline__ Where(const Attention &p) : n(blockIdx.x / p.queries / p.heads), h(blockIdx.x / p.queries % p.heads), q(blockIdx.x % p.queries) {}
};

// P = softmax(S + mask) and its log-sum-exp; a row that is masked everywhere is 0.
template <class T> __device__ __forceinline__ void probabilities(const Attention &p) {
	Where w(p);
	T *s = (T *)p.scores + (i64)blockIdx.x * p.keys;
	const T *mask = p.mask.base ? row<const T>(p.mask, w.n, w.h, w.q) : nullptr;
	T top = -inf(T(0));
	for (i64 j = threadIdx.x; j < p.keys; j += blockDim.x) {
		T v = s[j];
		if (mask) s[j] = v = v + mask[j * p.mask.inner];
		top = larger(top, v);
	}
	top = blockMax(top);
	bool nothing = top == -inf(T(0));
	Total<T> total;
	for (i64 j = threadIdx.x; j < p.keys; j += blockDim.x) {
		T e = nothing ? T(0) : exponential(s[j] - top);
		s[j] = e;
		total.add(e);
	}
	T sum = (T)blockSum(total.get());
	for (i64 j = threadIdx.x; j < p.keys; j += blockDim.x) s[j] = nothing ? T(0) : s[j] / sum;
	if (p.lse.base && threadIdx.x == 0) *row<T>(p.lse, w.n, w.h, w.q) = nothing ? top : top + logarithm(sum);
}

KERNEL(attention_f32, Attention, 1024) { probabilities<float>(p); }
KERNEL(attention_f64, Attention, 1024) { probabilities<double>(p); }

// P = e^(S + mask − lse) again, and dS = scale·P·(dP − dO·o).
template <class T, bool LOW> __device__ __forceinline__ void scoresGrad(const Attention &p) {
	Where w(p);
	T *s = (T *)p.scores + (i64)blockIdx.x * p.keys, *g = (T *)p.gradient + (i64)blockIdx.x * p.keys;
	const T *mask = p.mask.base ? row<const T>(p.mask, w.n, w.h, w.q) : nullptr;
	const T *o = row<const T>(p.o, w.n, w.h, w.q), *dO = row<const T>(p.dO, w.n, w.h, w.q);
	T lse = *row<const T>(p.lse, w.n, w.h, w.q);
	Total<T> total;
	for (i64 d = threadIdx.x; d < p.width; d += blockDim.x) total.add(o[d * p.o.inner] * entering<LOW>(dO[d * p.dO.inner]));
	T mean = (T)blockSum(total.get());
	bool nothing = lse == -inf(T(0));
	for (i64 j = threadIdx.x; j < p.keys; j += blockDim.x) {
		T e = nothing ? T(0) : exponential(s[j] + (mask ? mask[j * p.mask.inner] : T(0)) - lse);
		s[j] = e;
		g[j] = nothing ? T(0) : (T)p.scale * e * (g[j] - mean);
	}
}

KERNEL(attention_grad_f32, Attention, 1024) { scoresGrad<float, false>(p); }
KERNEL(attention_grad_f64, Attention, 1024) { scoresGrad<double, false>(p); }
KERNEL(attention_grad_low, Attention, 1024) { scoresGrad<float, true>(p); }
