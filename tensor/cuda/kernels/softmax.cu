// Softmax along the last axis, and its gradient. A block has a row.
#include "program.cuh"

struct Softmax {
	i64 n; // elements of a row
	Space rows;
	Operand x, y, dy, dx;
	i64 xStride, yStride, dyStride, dxStride; // along the row
};

// y = e^(x−max) / Σ e^(x−max)
template <class T> __device__ __forceinline__ void softmax(const Softmax &p) {
	const T *x = (const T *)p.x.base + offset(p.rows, 0, p.rows.rank, p.x, blockIdx.x);
	T *y = (T *)p.y.base + offset(p.rows, 0, p.rows.rank, p.y, blockIdx.x);
	T top = -inf(T(0));
	for (i64 i = threadIdx.x; i < p.n; i += blockDim.x) top = larger(top, x[i * p.xStride]);
	top = blockMax(top);
	Total<T> total;
	for (i64 i = threadIdx.x; i < p.n; i += blockDim.x) {
		T e = exponential(x[i * p.xStride] - top);
		y[i * p.yStride] = e;
		total.add(e);
	}
	T scale = (T)(1 / blockSum(total.get()));
	for (i64 i = threadIdx.x; i < p.n; i += blockDim.x) y[i * p.yStride] *= scale;
}

KERNEL(softmax_f32, Softmax, 1024) { softmax<float>(p); }
KERNEL(softmax_f64, Softmax, 1024) { softmax<double>(p); }

// dx = y·(dy − Σ dy·y)
template <class T> __device__ __forceinline__ void softmaxGrad(const Softmax &p) {
	const T *y = (const T *)p.y.base + offset(p.rows, 0, p.rows.rank, p.y, blockIdx.x);
	const T *dy = (const T *)p.dy.base + offset(p.rows, 0, p.rows.rank, p.dy, blockIdx.x);
	T *dx = (T *)p.dx.base + offset(p.rows, 0, p.rows.rank, p.dx, blockIdx.x);
	Total<T> total;
	for (i64 i = threadIdx.x; i < p.n; i += blockDim.x) total.add(dy[i * p.dyStride] * y[i * p.yStride]);
	T dot = (T)blockSum(total.get());
	for (i64 i = threadIdx.x; i < p.n; i += blockDim.x) dx[i * p.dxStride] = y[i * p.yStride] * (dy[i * p.dyStride] - dot);
}

KERNEL(softmax_grad_f32, Softmax, 1024) { softmaxGrad<float>(p); }
KERNEL(softmax_grad_f64, Softmax, 1024) { softmaxGrad<double>(p); }
