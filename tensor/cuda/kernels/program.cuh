// Elementwise programs, interpreted: every thread runs the same instructions on
// its own elements, so warps never diverge. Values live in shared memory, where
// a thread's own column has no bank conflicts.
#pragma once
#include "common.cuh"

// Operations, in the order of backend.Opcode.
enum Op : u16 {
	INPUT, SCALAR, CONSTANT, ADD, SUB, MUL, DIV, MIN, MAX, POW, LESS, LESS_EQ, EQ, SELECT, MUL_ADD,
	NEG, ABS, SIGN, SQRT, RSQRT, RECIP, EXP, EXPM1, LOG, LOG1P, SIN, COS, TANH, SIGMOID, ERF, SOFTPLUS, ROUND, FLOOR
};

// A reference to a value: a slot, or a uniform (a scalar of the call or a
// constant of the program).
const u16 UNIFORM = 0x8000, CONSTANTS = 64; // uniforms below CONSTANTS are scalars

struct Instr {
	u16 op, dst, a, b, c, unused[3];
};

const int MAX_INPUTS = 16, MAX_OUTPUTS = 8, MAX_SCALARS = 16;

// An operand by the axes of the space that it is seen from.
struct Operand {
	u64 base; // address of its first element
	i64 stride[MAX_RANK];
};

struct Program {
	u64 code;      // of Instr
	u64 constants; // of double
	double scalar[MAX_SCALARS];
	int instrs, slots;
	u16 result[MAX_OUTPUTS];
};

// Space is a box of points.
struct Space {
	i64 shape[MAX_RANK];
	int rank, unused;
};

// offset is where point i of the axes from lo to hi lies in an operand, the last
// axis fastest.
__device__ __forceinline__ i64 offset(const Space &s, int lo, int hi, const Operand &o, i64 i) {
	if (hi - lo == 1) return i * o.stride[lo];
	i64 at = 0;
	if (i >> 31 == 0) { // division of 32-bit numbers is several times faster
		u32 r = (u32)i;
		for (int ax = hi - 1; ax >= lo; ax--) {
			u32 n = (u32)s.shape[ax], q = r / n;
			at += (i64)(r - q * n) * o.stride[ax];
			r = q;
		}
		return at;
	}
	for (int ax = hi - 1; ax >= lo; ax--) {
		at += i % s.shape[ax] * o.stride[ax];
		i /= s.shape[ax];
	}
	return at;
}

__device__ __forceinline__ float powerOf(float a, float b) { return (float)pow((double)a, (double)b); } // powf may be off by more than 4 ulp
__device__ __forceinline__ double powerOf(double a, double b) { return pow(a, b); }
__device__ __forceinline__ float inverseRoot(float a) { return 1 / sqrtf(a); }
__device__ __forceinline__ double inverseRoot(double a) { return 1 / sqrt(a); }

#ifdef EMULATE
using std::expm1; using std::log1p; using std::sin; using std::cos; using std::tanh; using std::erf; using std::sqrt; using std::fabs; using std::rint; using std::floor; using std::fma;
#endif

template <class T> __device__ __forceinline__ T apply(int op, T a, T b, T c) {
	switch (op) {
	case ADD: return a + b;
	case SUB: return a - b;
	case MUL: return a * b;
	case DIV: return a / b;
	case MIN: return smaller(a, b);
	case MAX: return larger(a, b);
	case POW: return powerOf(a, b);
	case LESS: return a < b;
	case LESS_EQ: return a <= b;
	case EQ: return a == b;
	case SELECT: return a != T(0) ? b : c;
	case MUL_ADD: return fma(a, b, c);
	case NEG: return -a;
	case ABS: return fabs(a);
	case SIGN: return a != a ? a : T(a > 0) - T(a < 0);
	case SQRT: return sqrt(a);
	case RSQRT: return inverseRoot(a);
	case RECIP: return T(1) / a;
	case EXP: return exponential(a);
	case EXPM1: return expm1(a);
	case LOG: return logarithm(a);
	case LOG1P: return log1p(a);
	case SIN: return sin(a);
	case COS: return cos(a);
	case TANH: return tanh(a);
	case SIGMOID: return sigmoid(a);
	case ERF: return erf(a);
	case SOFTPLUS: return larger(a, T(0)) + log1p(exponential(-fabs(a)));
	case ROUND: return rint(a);
	default: return floor(a); // FLOOR
	}
}

// Machine runs a program on V elements a thread at once.
template <class T, int V> struct Machine {
	const Program &p;
	T *slot; // this thread's column of shared memory

	__device__ __forceinline__ Machine(const Program &p, T *shared) : p(p), slot(shared + threadIdx.x) {}

	__device__ __forceinline__ T get(u16 ref, int v) const {
		if (ref & UNIFORM) {
			u16 i = ref & (UNIFORM - 1);
			return (T)(i < CONSTANTS ? p.scalar[i] : ((const double *)p.constants)[i - CONSTANTS]);
		}
		return slot[(ref * V + v) * blockDim.x];
	}

	// load(input, v) gives element v of an input.
	template <class Load> __device__ __forceinline__ void run(Load load) {
		const Instr *code = (const Instr *)p.code;
		for (int i = 0; i < p.instrs; i++) {
			Instr in = code[i];
			T r[V];
			if (in.op == INPUT) {
#pragma unroll
				for (int v = 0; v < V; v++) r[v] = load(in.a, v);
			} else {
#pragma unroll
				for (int v = 0; v < V; v++) r[v] = apply<T>(in.op, get(in.a, v), get(in.b, v), get(in.c, v));
			}
#pragma unroll
			for (int v = 0; v < V; v++) slot[(in.dst * V + v) * blockDim.x] = r[v];
		}
	}
};
