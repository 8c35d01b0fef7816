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
// and by a sink: put(m, n, sum). Terms of a sum are added in the order of k, so a row of C has the
// same bits whatever M is.
#pragma once
#include "common.cuh"

const int TILE = 64, DEPTH = 16, PRODUCT_THREADS = 256; // C's tile is TILE×TILE, 4×4 a thread

// Part is a thread's share of loading an operand's tile: 4 of its TILE×DEPTH elements.
template <class T, bool LOW, class Source> struct Part {
	const Source &s;
	typename Source::Row row[4];
	bool inside[4];
	i64 depth;

	__device__ __forceinline__ int rowOf(int i) const { int e = threadIdx.x + i * PRODUCT_THREADS; return s.along ? e / DEPTH : e % TILE; }
	__device__ __forceinline__ int depthOf(int i) const { int e = threadIdx.x + i * PRODUCT_THREADS; return s.along ? e % DEPTH : e / TILE; }

	__device__ __forceinline__ Part(const Source &s, i64 first, i64 rows, i64 depth) : s(s), depth(depth) {
#pragma unroll
		for (int i = 0; i < 4; i++) {
			i64 r = first + rowOf(i);
			inside[i] = r < rows;
			row[i] = s.row(inside[i] ? r : 0);
		}
	}
	__device__ __forceinline__ void load(T (*tile)[TILE + 4], i64 k0) const {
#pragma unroll
		for (int i = 0; i < 4; i++) {
			int k = depthOf(i);
			tile[k][rowOf(i)] = inside[i] && k0 + k < depth ? entering<LOW>(s.get(row[i], k0 + k)) : T(0);
		}
	}
};

// product computes tile (mTile, nTile) of C. All threads of the block call it.
template <class T, bool LOW, class A, class B, class Sink>
__device__ __forceinline__ void product(const A &a, const B &b, const Sink &sink, i64 m, i64 n, i64 depth, i64 mTile, i64 nTile) {
	__shared__ __align__(16) T as[DEPTH][TILE + 4], bs[DEPTH][TILE + 4];
	Part<T, LOW, A> left(a, mTile * TILE, m, depth);
	Part<T, LOW, B> right(b, nTile * TILE, n, depth);
	int row = threadIdx.x / 16 * 4, col = threadIdx.x % 16 * 4;
	T sum[4][4] = {};
	for (i64 k0 = 0; k0 < depth; k0 += DEPTH) {
		left.load(as, k0);
		right.load(bs, k0);
		__syncthreads();
#pragma unroll
		for (int k = 0; k < DEPTH; k++) {
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
#pragma unroll
	for (int i = 0; i < 4; i++)
#pragma unroll
		for (int j = 0; j < 4; j++) {
			i64 r = mTile * TILE + row + i, c = nTile * TILE + col + j;
			if (r < m && c < n) sink.put(r, c, sum[i][j]);
		}
}
