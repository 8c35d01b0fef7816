// Reductions fold what a program gives at every point over some axes.
//
// The space has its kept axes first, then the folded ones. A block has
// blockDim/lanes outputs; the lanes of an output share its terms and are then
// folded pairwise. Lanes are neighbouring threads where the innermost axis is folded, else
// neighbouring threads have neighbouring outputs: either way memory is read
// in order. Long folds are cut in pieces, whose results combine folds in order. How a fold is
// cut depends on the shape alone.
#include "program.cuh"

enum Fold { SUM, MAXIMUM, MINIMUM };

struct Reduce {
	i64 outputs, count; // points of the kept and of the folded axes
	i64 piece;          // terms of a piece, blockIdx.y
	u64 partial;        // of double, (pieces, outputs); 0: there is one piece
	Space space;
	Operand in[MAX_INPUTS], out;
	Program program;
	int kept, kind, lanes, across;
	int plain, unused; // 1: no program, the first input itself
};

template <class T> __device__ __forceinline__ T fold(int kind, T a, T b) {
	return kind == SUM ? a + b : kind == MAXIMUM ? larger(a, b) : smaller(a, b);
}

template <class T> __device__ __forceinline__ T neutral(int kind) {
	return kind == SUM ? T(0) : kind == MAXIMUM ? -inf(T(0)) : inf(T(0));
}

template <class T> __device__ __forceinline__ void reduce(const Reduce &p) {
	__shared__ double part[256];
	DYNAMIC_SHARED(T, slots);
	Machine<T, 1> m(p.program, slots);
	int t = threadIdx.x, each = blockDim.x / p.lanes;
	int o = p.across ? t % each : t / p.lanes, lane = p.across ? t / each : t % p.lanes;
	int step = p.across ? each : 1; // from a lane's place in part to the next one's
	i64 output = (i64)blockIdx.x * each + o;
	double sum = neutral<double>(p.kind);
	if (output < p.outputs) {
		i64 lo = blockIdx.y * p.piece, hi = lo + p.piece < p.count ? lo + p.piece : p.count;
		T run = neutral<T>(p.kind);
		int n = 0;
		i64 start = offset(p.space, 0, p.kept, p.in[0], output);
		for (i64 i = lo + lane; i < hi; i += p.lanes) {
			T v;
			if (p.plain) {
				v = ((const T *)p.in[0].base)[start + offset(p.space, p.kept, p.space.rank, p.in[0], i)];
			} else {
				m.run([&](int input, int) {
					const Operand &in = p.in[input];
					return ((const T *)in.base)[offset(p.space, 0, p.kept, in, output) + offset(p.space, p.kept, p.space.rank, in, i)];
				});
				v = m.get(p.program.result[0], 0);
			}
			run = fold(p.kind, run, v);
			if (++n == RUN) sum = fold(p.kind, sum, (double)run), run = neutral<T>(p.kind), n = 0;
		}
		sum = fold(p.kind, sum, (double)run);
	}
	part[t] = sum;
	for (int half = p.lanes / 2; half > 0; half /= 2) {
		__syncthreads();
		if (lane < half) part[t] = fold(p.kind, part[t], part[t + half * step]);
	}
	if (lane != 0 || output >= p.outputs) return;
	if (p.partial)
		((double *)p.partial)[blockIdx.y * p.outputs + output] = part[t];
	else
		((T *)p.out.base)[offset(p.space, 0, p.kept, p.out, output)] = (T)part[t];
}

KERNEL(reduce_f32, Reduce, 256) { reduce<float>(p); }
KERNEL(reduce_f64, Reduce, 256) { reduce<double>(p); }

struct Combine {
	i64 outputs, pieces;
	u64 partial;
	Space space; // the kept axes
	Operand out;
	int kind, unused;
};

template <class T> __device__ __forceinline__ void combine(const Combine &p) {
	i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
	if (i >= p.outputs) return;
	const double *part = (const double *)p.partial + i;
	double sum = neutral<double>(p.kind);
	for (i64 k = 0; k < p.pieces; k++) sum = fold(p.kind, sum, part[k * p.outputs]);
	((T *)p.out.base)[offset(p.space, 0, p.space.rank, p.out, i)] = (T)sum;
}

KERNEL(combine_f32, Combine, 128) { combine<float>(p); }
KERNEL(combine_f64, Combine, 128) { combine<double>(p); }
