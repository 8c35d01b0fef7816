// Matrix products by tiles, for whatever lies behind rows and columns: strided
// matrices (gemm.cu) or images (conv.cu).
//
// A product is C[m,n] = Σ_k A[m,k]·B[k,n]. Where the operands' elements come from is told by
// two sources, whose rows are A's rows and B's columns:
//
//	Source::Row row(i64 i)      what is needed of row i, worked out once
//	T Source::get(Row, i64 k)   element k of it; k is below the depth
//	bool Source::along          neighbouring k lie side by side, rather than neighbouring rows
//
// and by a sink: put(m, n, sum). What is added to a sum and in which order depends on the
// depth alone, so a row of C has the same bits whatever M is.
#pragma once
#include "common.cuh"

const int TILE = 64, PRODUCT_THREADS = 256; // a block makes TILE×TILE of C

// Part is a thread's share of loading TILE rows of D elements.
template <class T, int D, class Source> struct Part {
	static const int N = TILE * D / PRODUCT_THREADS;
	const Source &s;
	typename Source::Row row[N];
	bool inside[N];
	i64 depth;

	__device__ __forceinline__ int rowOf(int i) const { int e = threadIdx.x + i * PRODUCT_THREADS; return s.along ? e / D : e % TILE; }
	__device__ __forceinline__ int depthOf(int i) const { int e = threadIdx.x + i * PRODUCT_THREADS; return s.along ? e % D : e / TILE; }

	__device__ __forceinline__ Part(const Source &s, i64 first, i64 rows, i64 depth) : s(s), depth(depth) {
#pragma unroll
		for (int i = 0; i < N; i++) {
			i64 r = first + rowOf(i);
			inside[i] = r < rows;
			row[i] = s.row(inside[i] ? r : 0);
		}
	}
	// put(row, k, element) gets each of the thread's elements from k0 on, 0 beyond the edges.
	template <class Put> __device__ __forceinline__ void load(i64 k0, Put put) const {
#pragma unroll
		for (int i = 0; i < N; i++) {
			int k = depthOf(i);
			put(rowOf(i), k, inside[i] && k0 + k < depth ? s.get(row[i], k0 + k) : T(0));
		}
	}
};

// Lines are the rows of a strided A, or the columns of such a B.
template <class T> struct Lines {
	typedef const T *Row;
	const T *base;
	i64 step, inner; // from a line to the next, from an element of a line to the next
	bool along;
	__device__ __forceinline__ Lines(const T *base, i64 step, i64 inner) : base(base), step(step), inner(inner), along(inner == 1 || step != 1) {}
	__device__ __forceinline__ Row row(i64 i) const { return base + i * step; }
	__device__ __forceinline__ T get(Row r, i64 k) const { return r[k * inner]; }
};

// plainTile adds tile (mTile, nTile) of a product to sum: of thread t, rows t/16·4 and columns t%16·4 on.
template <class T, class A, class B>
__device__ __forceinline__ void plainTile(T (&sum)[4][4], const A &a, const B &b, i64 m, i64 n, i64 depth, i64 mTile, i64 nTile) {
	const int D = 16;
	__shared__ __align__(16) T as[D][TILE + 4], bs[D][TILE + 4];
	Part<T, D, A> left(a, mTile * TILE, m, depth);
	Part<T, D, B> right(b, nTile * TILE, n, depth);
	int row = threadIdx.x / 16 * 4, col = threadIdx.x % 16 * 4;
	for (i64 k0 = 0; k0 < depth; k0 += D) {
		left.load(k0, [&](int r, int k, T v) { as[k][r] = v; });
		right.load(k0, [&](int r, int k, T v) { bs[k][r] = v; });
		__syncthreads();
#pragma unroll
		for (int k = 0; k < D; k++) {
			T x[4], y[4];
#pragma unroll
			for (int i = 0; i < 4; i++) x[i] = as[k][row + i], y[i] = bs[k][col + i];
#pragma unroll
			for (int i = 0; i < 4; i++)
#pragma unroll
				for (int j = 0; j < 4; j++) sum[i][j] += x[i] * y[j];
		}
		__syncthreads();
	}
}

// plainProduct computes tile (mTile, nTile) of C; 4×4 elements a thread.
template <class T, class A, class B, class Sink>
__device__ __forceinline__ void plainProduct(const A &a, const B &b, const Sink &sink, i64 m, i64 n, i64 depth, i64 mTile, i64 nTile) {
	T sum[4][4] = {};
	plainTile(sum, a, b, m, n, depth, mTile, nTile);
	int row = threadIdx.x / 16 * 4, col = threadIdx.x % 16 * 4;
#pragma unroll
	for (int i = 0; i < 4; i++)
#pragma unroll
		for (int j = 0; j < 4; j++) {
			i64 r = mTile * TILE + row + i, c = nTile * TILE + col + j;
			if (r < m && c < n) sink.put(r, c, sum[i][j]);
		}
}

// multiply adds a 16×16 times a 16×8 matrix of bfloat16 numbers to a 16×8 one of floats, each spread over
// a warp (PTX ISA, mma.m16n8k16). Lane l has, with g = l/4 and t = 2·(l%4), in pairs of neighbours:
// of A rows g and g+8 at columns t, then at t+8; of B column g at rows t and t+8; of C rows g and g+8 at columns t.
__device__ __forceinline__ void multiply(float (&c)[4], const u32 (&a)[4], const u32 (&b)[2]) {
#ifdef EMULATE
	emulate::multiply(c, a, b, __LINE__);
#else
	asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
		: "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
		: "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// half is a number rounded to bfloat16, as its upper half; pair are two of them, the first one below.
__device__ __forceinline__ u16 half(float v) { return (u16)(__float_as_uint(bfloat16(v)) >> 16); }
__device__ __forceinline__ u32 pair(u16 low, u16 high) { return (u32)low | (u32)high << 16; }

// tensorProduct is plainProduct of floats that are rounded to bfloat16 on their way in, by tensor
// cores. A warp has 32×16 of the tile: two by two products of 16×8.
template <class A, class B, class Sink>
__device__ __forceinline__ void tensorProduct(const A &a, const B &b, const Sink &sink, i64 m, i64 n, i64 depth, i64 mTile, i64 nTile) {
	const int D = 16, LINE = D + 8; // 8 more, so that a warp's reads fall into different banks
	__shared__ __align__(16) u16 as[TILE * LINE], bs[TILE * LINE];
	Part<float, D, A> left(a, mTile * TILE, m, depth);
	Part<float, D, B> right(b, nTile * TILE, n, depth);
	int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4 * 2;
	int row = warp / 4 * 32, col = warp % 4 * 16;
	float sum[2][2][4] = {};
	for (i64 k0 = 0; k0 < depth; k0 += D) {
		left.load(k0, [&](int r, int k, float v) { as[r * LINE + k] = half(v); });
		right.load(k0, [&](int r, int k, float v) { bs[r * LINE + k] = half(v); });
		__syncthreads();
		u32 x[2][4], y[2][2];
#pragma unroll
		for (int i = 0; i < 2; i++) {
			const u16 *p = as + (row + 16 * i + g) * LINE + t, *q = bs + (col + 8 * i + g) * LINE + t;
			x[i][0] = *(const u32 *)p, x[i][1] = *(const u32 *)(p + 8 * LINE), x[i][2] = *(const u32 *)(p + 8), x[i][3] = *(const u32 *)(p + 8 * LINE + 8);
			y[i][0] = *(const u32 *)q, y[i][1] = *(const u32 *)(q + 8);
		}
#pragma unroll
		for (int i = 0; i < 2; i++)
#pragma unroll
			for (int j = 0; j < 2; j++) multiply(sum[i][j], x[i], y[j]);
		__syncthreads();
	}
#pragma unroll
	for (int i = 0; i < 2; i++)
#pragma unroll
		for (int j = 0; j < 2; j++)
#pragma unroll
			for (int e = 0; e < 4; e++) {
				i64 r = mTile * TILE + row + 16 * i + g + e / 2 * 8, c = nTile * TILE + col + 8 * j + t + e % 2;
				if (r < m && c < n) sink.put(r, c, sum[i][j][e]);
			}
}

// product computes tile (mTile, nTile) of C. All threads of the block call it.
template <class T, bool LOW, class A, class B, class Sink>
__device__ __forceinline__ void product(const A &a, const B &b, const Sink &sink, i64 m, i64 n, i64 depth, i64 mTile, i64 nTile) {
	if constexpr (LOW)
		tensorProduct(a, b, sink, m, n, depth, mTile, nTile);
	else
		plainProduct<T>(a, b, sink, m, n, depth, mTile, nTile);
}
