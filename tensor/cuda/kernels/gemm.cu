// C = alpha·A·B + beta·C + bias, of matrices with any strides, in batches.
#include "product.cuh"

struct Matrix {
	u64 base;
	i64 row, col;             // strides
	i64 batch[MAX_RANK - 2]; // of the batch axes
};

struct Gemm {
	i64 m, n, k, batches;
	i64 batch[MAX_RANK - 2]; // sizes of the batch axes
	Matrix a, b, c;
	u64 bias; // 0: none
	i64 biasStride;
	double alpha, beta;
	int axes, unused; // batch axes
};

template <class T> struct Output {
	T *c;
	i64 row, col;
	const T *bias;
	i64 biasStride;
	T alpha, beta;
	__device__ __forceinline__ void put(i64 m, i64 n, T sum) const {
		T *to = c + m * row + n * col;
		T v = alpha * sum;
		if (beta != T(0)) v += beta * *to;
		if (bias) v += bias[n * biasStride];
		*to = v;
	}
};

__device__ __forceinline__ i64 batchOffset(const Gemm &p, const Matrix &m, i64 i) {
	i64 at = 0;
	for (int ax = p.axes - 1; ax >= 0; ax--) at += i % p.batch[ax] * m.batch[ax], i /= p.batch[ax];
	return at;
}

template <class T, bool LOW> __device__ __forceinline__ void gemm(const Gemm &p) {
	for (i64 i = blockIdx.z; i < p.batches; i += gridDim.z) {
		Lines<T> a((const T *)p.a.base + batchOffset(p, p.a, i), p.a.row, p.a.col);
		Lines<T> b((const T *)p.b.base + batchOffset(p, p.b, i), p.b.col, p.b.row);
		Output<T> c{(T *)p.c.base + batchOffset(p, p.c, i), p.c.row, p.c.col, (const T *)p.bias, p.biasStride, (T)p.alpha, (T)p.beta};
		product<T, LOW>(a, b, c, p.m, p.n, p.k, blockIdx.x, blockIdx.y);
	}
}

KERNEL(gemm_f32, Gemm, PRODUCT_THREADS) { gemm<float, false>(p); }
KERNEL(gemm_f64, Gemm, PRODUCT_THREADS) { gemm<double, false>(p); }
KERNEL(gemm_low, Gemm, PRODUCT_THREADS) { gemm<float, true>(p); }
