// Attention without its scores in memory (Dao et al. 2022; Dao 2023): a block has 64 queries, or for the
// gradients of keys and values 64 keys, of one head of one sample, and goes through the others tile by tile.
//
// A row's softmax is kept up to date as keys come by: its largest score so far, the sum of e^(score − largest), and
// the weighted values so far, which shrink by e^(old − new) when the largest one grows. Gradients make scores again
// from the row's log-sum-exp. With mean = Σ_d dO·o of a query, dS = scale·P·(dP − mean).
//
// Heads have D numbers at most, a template's; beyond their width there are zeros. In the kernels _low, by
// tensor cores, q, k, v, dO, P and dS are rounded to bfloat16 as they enter a product. A query's or a key's sums are added in the order
// of the keys or queries, whatever else there is.
#include "product.cuh"

struct Rows { // (samples, heads, positions, …) of some operand; base 0: absent
	u64 base;
	i64 sample, head, position, inner; // strides
};

struct Flash {
	i64 heads, queries, keys, width; // width: of a head
	double scale;
	u64 mean; // (samples, heads, queries)
	Rows q, k, v, o, dO, dq, dk, dv;
	Rows mask, lse; // (samples, heads, queries, keys), (samples, heads, queries)
};

// Query is what gradients need of one.
struct Query {
	float lse, mean;
	__device__ __forceinline__ bool nothing() const { return lse == -inf(0.f); } // all its keys are masked, or it is none
};

// Head is what a block works on.
struct Head {
	const Flash &p;
	i64 n, h, tile; // tile: of 64 rows
	__device__ __forceinline__ Head(const Flash &p, i64 rows) : p(p) {
		i64 tiles = (rows + TILE - 1) / TILE, i = blockIdx.x / tiles;
		tile = blockIdx.x % tiles, n = i / p.heads, h = i % p.heads;
	}
	__device__ __forceinline__ float *of(const Rows &r) const { return r.base ? (float *)r.base + n * r.sample + h * r.head : nullptr; }
	__device__ __forceinline__ Lines<float> lines(const Rows &r) const { return Lines<float>(of(r), r.position, r.inner); }
	__device__ __forceinline__ float masked(const float *mask, i64 q, i64 k) const { return mask ? mask[q * p.mask.position + k * p.mask.inner] : 0.f; }
	__device__ __forceinline__ Query query(i64 q) const {
		if (q >= p.queries) return {-inf(0.f), 0.f};
		return {of(p.lse)[q * p.lse.position], ((const float *)p.mean)[(n * p.heads + h) * p.queries + q]};
	}
	// probability is P, from a score without its scale, of query number q.
	__device__ __forceinline__ float probability(const Query &of, float score, const float *mask, i64 q, i64 k) const {
		if (of.nothing() || k >= p.keys) return 0.f;
		return exponential(score * (float)p.scale + masked(mask, q, k) - of.lse);
	}
	// change is dS from P and dP.
	__device__ __forceinline__ float change(const Query &of, float probability, float dP, i64 k) const {
		return of.nothing() || k >= p.keys ? 0.f : (float)p.scale * probability * (dP - of.mean);
	}
};

// Running are the softmaxes so far of R rows, of which some lanes hold a part of the scores each.
template <int R> struct Running {
	float top[R], sum[R]; // sum: of this lane's part
	__device__ __forceinline__ Running() {
#pragma unroll
		for (int i = 0; i < R; i++) top[i] = -inf(0.f), sum[i] = 0;
	}
	// raise takes the largest of this lane's new scores of row i; lanes next to each other, a power of two, share the row.
	// It gives what older results shrink by.
	__device__ __forceinline__ float raise(int i, float largest, int lanes) {
#pragma unroll
		for (int d = lanes / 2; d > 0; d /= 2) largest = larger(largest, __shfl_xor_sync(0xffffffffu, largest, d));
		float was = top[i];
		top[i] = larger(was, largest);
		float shrink = top[i] == was ? 1.f : exponential(was - top[i]);
		sum[i] *= shrink;
		return shrink;
	}
	// weight is e^(score − largest), which is added to the sum.
	__device__ __forceinline__ float weight(int i, float score) {
		float e = top[i] == -inf(0.f) ? 0.f : exponential(score - top[i]);
		sum[i] += e;
		return e;
	}
	__device__ __forceinline__ void finish(int i, int lanes) {
#pragma unroll
		for (int d = lanes / 2; d > 0; d /= 2) sum[i] += __shfl_xor_sync(0xffffffffu, sum[i], d);
	}
	__device__ __forceinline__ bool nothing(int i) const { return top[i] == -inf(0.f); }
	__device__ __forceinline__ float lse(int i) const { return nothing(i) ? top[i] : top[i] + logarithm(sum[i]); }
};

// In float32: 256 threads, of which each has 4×4 of a 64×64 tile of scores, and of results four rows and every
// sixteenth column.

const int LINE = TILE + 4;

// gather adds a tile's weights, times 64 rows of r from first on, to sum.
template <int N> __device__ __forceinline__ void gather(float (&sum)[4][N], const float *weights, const Lines<float> &r, i64 first, i64 rows, i64 width) {
	const int STEP = 16, D = 16 * N;
	__shared__ __align__(16) float part[STEP][D];
	int row = threadIdx.x / 16 * 4, col = threadIdx.x % 16;
	for (int k0 = 0; k0 < TILE; k0 += STEP) {
		__syncthreads(); // weights are there, the last part has been read
#pragma unroll 2
		for (int e = threadIdx.x; e < STEP * D; e += PRODUCT_THREADS) {
			i64 k = first + k0 + e / D, d = e % D;
			part[e / D][e % D] = k < rows && d < width ? r.get(r.row(k), d) : 0.f;
		}
		__syncthreads();
#pragma unroll 4
		for (int k = 0; k < STEP; k++)
#pragma unroll
			for (int i = 0; i < 4; i++) {
				float w = weights[(row + i) * LINE + k0 + k];
#pragma unroll
				for (int j = 0; j < N; j++) sum[i][j] += w * part[k][col + 16 * j];
			}
	}
	__syncthreads();
}

template <int N> __device__ __forceinline__ void forwardPlain(const Flash &p) {
	Head h(p, p.queries);
	__shared__ __align__(16) float weights[TILE * LINE];
	int row = threadIdx.x / 16 * 4, col = threadIdx.x % 16 * 4;
	const float *mask = h.of(p.mask);
	Lines<float> q = h.lines(p.q), k = h.lines(p.k), v = h.lines(p.v);
	Running<4> soft;
	float o[4][N] = {};
	for (i64 tile = 0; tile * TILE < p.keys; tile++) {
		float s[4][4] = {};
		plainTile(s, q, k, p.queries, p.keys, p.width, h.tile, tile);
#pragma unroll
		for (int i = 0; i < 4; i++) {
			float top = -inf(0.f);
			i64 at = min(h.tile * TILE + row + i, p.queries - 1);
#pragma unroll
			for (int j = 0; j < 4; j++) {
				i64 key = tile * TILE + col + j;
				s[i][j] = key < p.keys ? s[i][j] * (float)p.scale + h.masked(mask, at, key) : -inf(0.f);
				top = larger(top, s[i][j]);
			}
			float shrink = soft.raise(i, top, 16);
#pragma unroll
			for (int j = 0; j < 4; j++) weights[(row + i) * LINE + col + j] = soft.weight(i, s[i][j]);
#pragma unroll
			for (int j = 0; j < N; j++) o[i][j] *= shrink;
		}
		gather(o, weights, v, tile * TILE, p.keys, p.width);
	}
#pragma unroll
	for (int i = 0; i < 4; i++) {
		soft.finish(i, 16);
		i64 at = h.tile * TILE + row + i;
		if (at >= p.queries) continue;
#pragma unroll
		for (int j = 0; j < N; j++) {
			i64 d = threadIdx.x % 16 + 16 * j;
			if (d < p.width) h.of(p.o)[at * p.o.position + d * p.o.inner] = soft.nothing(i) ? o[i][j] : o[i][j] / soft.sum[i];
		}
		if (p.lse.base && threadIdx.x % 16 == 0) h.of(p.lse)[at * p.lse.position] = soft.lse(i);
	}
}

// put writes a tile of results.
template <int N> __device__ __forceinline__ void put(const Head &h, const Rows &r, const float (&x)[4][N], i64 rows) {
#pragma unroll
	for (int i = 0; i < 4; i++)
#pragma unroll
		for (int j = 0; j < N; j++) {
			i64 at = h.tile * TILE + threadIdx.x / 16 * 4 + i, d = threadIdx.x % 16 + 16 * j;
			if (at < rows && d < h.p.width) h.of(r)[at * r.position + d * r.inner] = x[i][j];
		}
}

template <int N> __device__ __forceinline__ void queriesPlain(const Flash &p) {
	Head h(p, p.queries);
	__shared__ __align__(16) float weights[TILE * LINE];
	int row = threadIdx.x / 16 * 4, col = threadIdx.x % 16 * 4;
	const float *mask = h.of(p.mask);
	Lines<float> q = h.lines(p.q), k = h.lines(p.k), v = h.lines(p.v), dO = h.lines(p.dO);
	float dq[4][N] = {};
	for (i64 tile = 0; tile * TILE < p.keys; tile++) {
		float s[4][4] = {}, g[4][4] = {};
		plainTile(s, q, k, p.queries, p.keys, p.width, h.tile, tile);
		plainTile(g, dO, v, p.queries, p.keys, p.width, h.tile, tile);
#pragma unroll
		for (int i = 0; i < 4; i++) {
			i64 at = h.tile * TILE + row + i;
			Query of = h.query(at); // again: registers are few
#pragma unroll
			for (int j = 0; j < 4; j++) {
				i64 key = tile * TILE + col + j;
				weights[(row + i) * LINE + col + j] = h.change(of, h.probability(of, s[i][j], mask, at, key), g[i][j], key);
			}
		}
		gather(dq, weights, k, tile * TILE, p.keys, p.width);
	}
	put(h, p.dq, dq, p.queries);
}

template <int N> __device__ __forceinline__ void keysPlain(const Flash &p) {
	Head h(p, p.keys);
	__shared__ __align__(16) float weights[TILE * LINE];
	int row = threadIdx.x / 16 * 4, col = threadIdx.x % 16 * 4;
	const float *mask = h.of(p.mask);
	Lines<float> q = h.lines(p.q), k = h.lines(p.k), v = h.lines(p.v), dO = h.lines(p.dO);
	float dk[4][N] = {}, dv[4][N] = {};
	for (i64 tile = 0; tile * TILE < p.queries; tile++) {
		float s[4][4] = {}, g[4][4] = {};
		plainTile(s, k, q, p.keys, p.queries, p.width, h.tile, tile);
		plainTile(g, v, dO, p.keys, p.queries, p.width, h.tile, tile);
#pragma unroll
		for (int j = 0; j < 4; j++) {
			i64 at = tile * TILE + col + j;
			Query of = h.query(at);
#pragma unroll
			for (int i = 0; i < 4; i++) {
				i64 key = h.tile * TILE + row + i;
				float e = h.probability(of, s[i][j], mask, at, key);
				weights[(row + i) * LINE + col + j] = e;
				s[i][j] = h.change(of, e, g[i][j], key);
			}
		}
		gather(dv, weights, dO, tile * TILE, p.queries, p.width);
#pragma unroll
		for (int i = 0; i < 4; i++)
#pragma unroll
			for (int j = 0; j < 4; j++) weights[(row + i) * LINE + col + j] = s[i][j];
		gather(dk, weights, q, tile * TILE, p.queries, p.width);
	}
	put(h, p.dk, dk, p.keys);
	put(h, p.dv, dv, p.keys);
}

// By tensor cores: 128 threads, a warp for 16 rows of the block's 64. See multiply for which lane holds what; scores leave a
// product as they enter the next one.

const int LOW_THREADS = 128;

// bring rounds R rows from first on, D numbers each, into lines of D + 8.
template <int D, int R> __device__ __forceinline__ void bring(u16 *to, const Lines<float> &from, i64 first, i64 rows, i64 width) {
#pragma unroll 4
	for (int e = threadIdx.x; e < R * D; e += LOW_THREADS) {
		i64 r = first + e / D, d = e % D;
		to[e / D * (D + 8) + e % D] = r < rows && d < width ? half(from.get(from.row(r), d)) : (u16)0;
	}
}

// left are 16 rows and 16 columns of a factor A, at a row's and a column's first.
template <int D> __device__ __forceinline__ void left(u32 (&a)[4], const u16 *rows, int column) {
	const u16 *p = rows + threadIdx.x % 32 / 4 * (D + 8) + column + threadIdx.x % 4 * 2;
	a[0] = *(const u32 *)p, a[1] = *(const u32 *)(p + 8 * (D + 8)), a[2] = *(const u32 *)(p + 8), a[3] = *(const u32 *)(p + 8 * (D + 8) + 8);
}

// across are 16×8 of a factor B whose columns are 8 rows in memory; down, whose rows are 16 rows in memory.
template <int D> __device__ __forceinline__ void across(u32 (&b)[2], const u16 *rows, int column) {
	const u16 *p = rows + threadIdx.x % 32 / 4 * (D + 8) + column + threadIdx.x % 4 * 2;
	b[0] = *(const u32 *)p, b[1] = *(const u32 *)(p + 8);
}
template <int D> __device__ __forceinline__ void down(u32 (&b)[2], const u16 *rows, int column) {
	const u16 *p = rows + threadIdx.x % 4 * 2 * (D + 8) + column + threadIdx.x % 32 / 4;
	b[0] = pair(p[0], p[D + 8]), b[1] = pair(p[8 * (D + 8)], p[9 * (D + 8)]);
}

// entry makes a factor A, 16×16, of two tiles of scores side by side.
__device__ __forceinline__ void entry(u32 (&a)[4], const float (&x)[4], const float (&y)[4]) {
	a[0] = pair(half(x[0]), half(x[1])), a[1] = pair(half(x[2]), half(x[3])), a[2] = pair(half(y[0]), half(y[1])), a[3] = pair(half(y[2]), half(y[3]));
}

// Of element e of a 16×8 tile, this lane's: its row and column.
__device__ __forceinline__ int rowOf(int e) { return threadIdx.x % 32 / 4 + e / 2 * 8; }
__device__ __forceinline__ int columnOf(int e) { return threadIdx.x % 4 * 2 + e % 2; }

// putLow writes a warp's 16 rows of results.
template <int D> __device__ __forceinline__ void putLow(const Head &h, const Rows &r, const float (&x)[D / 8][4], i64 rows) {
#pragma unroll
	for (int j = 0; j < D / 8; j++)
#pragma unroll
		for (int e = 0; e < 4; e++) {
			i64 at = h.tile * TILE + threadIdx.x / 32 * 16 + rowOf(e), d = j * 8 + columnOf(e);
			if (at < rows && d < h.p.width) h.of(r)[at * r.position + d * r.inner] = x[j][e];
		}
}

template <int D> __device__ __forceinline__ void forwardLow(const Flash &p) {
	Head h(p, p.queries);
	__shared__ __align__(16) u16 ks[TILE * (D + 8)], vs[TILE * (D + 8)];
	int first = threadIdx.x / 32 * 16; // row of the warp
	const float *mask = h.of(p.mask);
	Lines<float> k = h.lines(p.k), v = h.lines(p.v);
	u32 qa[D / 16][4];
	bring<D, TILE>(ks, h.lines(p.q), h.tile * TILE, p.queries, p.width);
	__syncthreads();
#pragma unroll
	for (int c = 0; c < D / 16; c++) left<D>(qa[c], ks + first * (D + 8), c * 16);
	Running<2> soft;
	float o[D / 8][4] = {};
	for (i64 tile = 0; tile * TILE < p.keys; tile++) {
		__syncthreads();
		bring<D, TILE>(ks, k, tile * TILE, p.keys, p.width);
		bring<D, TILE>(vs, v, tile * TILE, p.keys, p.width);
		__syncthreads();
		float s[TILE / 8][4] = {};
		float top[2] = {-inf(0.f), -inf(0.f)};
#pragma unroll
		for (int j = 0; j < TILE / 8; j++) {
#pragma unroll
			for (int c = 0; c < D / 16; c++) {
				u32 b[2];
				across<D>(b, ks + j * 8 * (D + 8), c * 16);
				multiply(s[j], qa[c], b);
			}
#pragma unroll
			for (int e = 0; e < 4; e++) {
				i64 at = min(h.tile * TILE + first + rowOf(e), p.queries - 1), key = tile * TILE + j * 8 + columnOf(e);
				s[j][e] = key < p.keys ? s[j][e] * (float)p.scale + h.masked(mask, at, key) : -inf(0.f);
				top[e / 2] = larger(top[e / 2], s[j][e]);
			}
		}
		float shrink[2] = {soft.raise(0, top[0], 4), soft.raise(1, top[1], 4)};
#pragma unroll
		for (int j = 0; j < TILE / 8; j++)
#pragma unroll
			for (int e = 0; e < 4; e++) s[j][e] = soft.weight(e / 2, s[j][e]);
#pragma unroll
		for (int d = 0; d < D / 8; d++) {
#pragma unroll
			for (int e = 0; e < 4; e++) o[d][e] *= shrink[e / 2];
#pragma unroll
			for (int c = 0; c < TILE / 16; c++) {
				u32 a[4], b[2];
				entry(a, s[2 * c], s[2 * c + 1]);
				down<D>(b, vs + c * 16 * (D + 8), d * 8);
				multiply(o[d], a, b);
			}
		}
	}
	soft.finish(0, 4), soft.finish(1, 4);
#pragma unroll
	for (int d = 0; d < D / 8; d++)
#pragma unroll
		for (int e = 0; e < 4; e++)
			if (!soft.nothing(e / 2)) o[d][e] /= soft.sum[e / 2];
	putLow<D>(h, p.o, o, p.queries);
	if (p.lse.base && threadIdx.x % 4 == 0)
#pragma unroll
		for (int i = 0; i < 2; i++) {
			i64 at = h.tile * TILE + first + rowOf(2 * i);
			if (at < p.queries) h.of(p.lse)[at * p.lse.position] = soft.lse(i);
		}
}

template <int D> __device__ __forceinline__ void queriesLow(const Flash &p) {
	const int KEYS = 32;
	Head h(p, p.queries);
	__shared__ __align__(16) u16 ks[TILE * (D + 8)]; // of a tile: keys, then values
	u16 *vs = ks + KEYS * (D + 8);
	int first = threadIdx.x / 32 * 16;
	const float *mask = h.of(p.mask);
	Lines<float> k = h.lines(p.k), v = h.lines(p.v);
	u32 qa[D / 16][4], da[D / 16][4];
	bring<D, TILE>(ks, h.lines(p.q), h.tile * TILE, p.queries, p.width);
	__syncthreads();
#pragma unroll
	for (int c = 0; c < D / 16; c++) left<D>(qa[c], ks + first * (D + 8), c * 16);
	__syncthreads();
	bring<D, TILE>(ks, h.lines(p.dO), h.tile * TILE, p.queries, p.width);
	__syncthreads();
#pragma unroll
	for (int c = 0; c < D / 16; c++) left<D>(da[c], ks + first * (D + 8), c * 16);
	Query of[2] = {h.query(h.tile * TILE + first + rowOf(0)), h.query(h.tile * TILE + first + rowOf(2))};
	float dq[D / 8][4] = {};
	for (i64 k0 = 0; k0 < p.keys; k0 += KEYS) {
		__syncthreads();
		bring<D, KEYS>(ks, k, k0, p.keys, p.width);
		bring<D, KEYS>(vs, v, k0, p.keys, p.width);
		__syncthreads();
		float s[KEYS / 8][4] = {}, g[KEYS / 8][4] = {};
#pragma unroll
		for (int j = 0; j < KEYS / 8; j++) {
#pragma unroll
			for (int c = 0; c < D / 16; c++) {
				u32 b[2];
				across<D>(b, ks + j * 8 * (D + 8), c * 16);
				multiply(s[j], qa[c], b);
				across<D>(b, vs + j * 8 * (D + 8), c * 16);
				multiply(g[j], da[c], b);
			}
#pragma unroll
			for (int e = 0; e < 4; e++) {
				i64 at = h.tile * TILE + first + rowOf(e), key = k0 + j * 8 + columnOf(e);
				s[j][e] = h.change(of[e / 2], h.probability(of[e / 2], s[j][e], mask, at, key), g[j][e], key);
			}
		}
#pragma unroll
		for (int d = 0; d < D / 8; d++)
#pragma unroll
			for (int c = 0; c < KEYS / 16; c++) {
				u32 a[4], b[2];
				entry(a, s[2 * c], s[2 * c + 1]);
				down<D>(b, ks + c * 16 * (D + 8), d * 8);
				multiply(dq[d], a, b);
			}
	}
	putLow<D>(h, p.dq, dq, p.queries);
}

template <int D> __device__ __forceinline__ void keysLow(const Flash &p) {
	const int QUERIES = 16;
	Head h(p, p.keys);
	__shared__ __align__(16) u16 ks[TILE * (D + 8)], vs[TILE * (D + 8)], qs[QUERIES * (D + 8)], ds[QUERIES * (D + 8)];
	int first = threadIdx.x / 32 * 16;
	const float *mask = h.of(p.mask);
	Lines<float> q = h.lines(p.q), dO = h.lines(p.dO);
	bring<D, TILE>(ks, h.lines(p.k), h.tile * TILE, p.keys, p.width);
	bring<D, TILE>(vs, h.lines(p.v), h.tile * TILE, p.keys, p.width);
	float dk[D / 8][4] = {}, dv[D / 8][4] = {};
	for (i64 q0 = 0; q0 < p.queries; q0 += QUERIES) {
		__syncthreads();
		bring<D, QUERIES>(qs, q, q0, p.queries, p.width);
		bring<D, QUERIES>(ds, dO, q0, p.queries, p.width);
		__syncthreads();
		float s[2][4] = {}, g[2][4] = {};
#pragma unroll
		for (int c = 0; c < D / 16; c++) {
			u32 a[4], b[2];
			left<D>(a, ks + first * (D + 8), c * 16);
#pragma unroll
			for (int j = 0; j < 2; j++) across<D>(b, qs + j * 8 * (D + 8), c * 16), multiply(s[j], a, b);
			left<D>(a, vs + first * (D + 8), c * 16);
#pragma unroll
			for (int j = 0; j < 2; j++) across<D>(b, ds + j * 8 * (D + 8), c * 16), multiply(g[j], a, b);
		}
#pragma unroll
		for (int j = 0; j < 2; j++) {
			Query of[2] = {h.query(q0 + j * 8 + columnOf(0)), h.query(q0 + j * 8 + columnOf(1))};
#pragma unroll
			for (int e = 0; e < 4; e++) {
				i64 key = h.tile * TILE + first + rowOf(e), at = q0 + j * 8 + columnOf(e);
				s[j][e] = h.probability(of[e % 2], s[j][e], mask, at, key);
				g[j][e] = h.change(of[e % 2], s[j][e], g[j][e], key);
			}
		}
		u32 weights[4], changes[4];
		entry(weights, s[0], s[1]);
		entry(changes, g[0], g[1]);
#pragma unroll
		for (int d = 0; d < D / 8; d++) {
			u32 b[2];
			down<D>(b, ds, d * 8);
			multiply(dv[d], weights, b);
			down<D>(b, qs, d * 8);
			multiply(dk[d], changes, b);
		}
	}
	putLow<D>(h, p.dk, dk, p.keys);
	putLow<D>(h, p.dv, dv, p.keys);
}

// mean = Σ_d dO·o of a query; a warp has one.
template <bool LOW> __device__ __forceinline__ void means(const Flash &p) {
	i64 q = blockIdx.x % p.queries, i = blockIdx.x / p.queries, n = i / p.heads, h = i % p.heads;
	const float *o = (const float *)p.o.base + n * p.o.sample + h * p.o.head + q * p.o.position;
	const float *dO = (const float *)p.dO.base + n * p.dO.sample + h * p.dO.head + q * p.dO.position;
	Total<float> total;
	for (i64 d = threadIdx.x; d < p.width; d += blockDim.x) total.add(o[d * p.o.inner] * entering<LOW>(dO[d * p.dO.inner]));
	float sum = (float)blockSum(total.get());
	if (threadIdx.x == 0) ((float *)p.mean)[blockIdx.x] = sum;
}

KERNEL(flash_mean_f32, Flash, 32) { means<false>(p); }
KERNEL(flash_mean_low, Flash, 32) { means<true>(p); }

#define KERNELS(D)                                                                  \
	KERNEL(flash##D##_f32, Flash, PRODUCT_THREADS) { forwardPlain<D / 16>(p); }         \
	KERNEL(flash##D##_queries_f32, Flash, PRODUCT_THREADS) { queriesPlain<D / 16>(p); } \
	KERNEL(flash##D##_keys_f32, Flash, PRODUCT_THREADS) { keysPlain<D / 16>(p); }       \
	KERNEL(flash##D##_low, Flash, LOW_THREADS) { forwardLow<D>(p); }                    \
	KERNEL(flash##D##_queries_low, Flash, LOW_THREADS) { queriesLow<D>(p); }            \
	KERNEL(flash##D##_keys_low, Flash, LOW_THREADS) { keysLow<D>(p); }

KERNELS(32)
KERNELS(64)
KERNELS(128)
