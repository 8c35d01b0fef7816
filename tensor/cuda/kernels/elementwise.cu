// Elementwise runs a program at every point of a space. Outputs are written
// after all inputs have been read, so that they may lie over them.
#include "program.cuh"

struct Elementwise {
	i64 total;
	Space space;
	Operand in[MAX_INPUTS], out[MAX_OUTPUTS];
	Program program;
	int outputs, unused;
};

// A block works on V·blockDim points; neighbouring threads on neighbouring points.
template <class T, int V> __device__ __forceinline__ void elementwise(const Elementwise &p) {
	DYNAMIC_SHARED(T, slots);
	Machine<T, V> m(p.program, slots);
	i64 first = (i64)blockIdx.x * (V * blockDim.x) + threadIdx.x;
	if (first >= p.total) return;
	m.run([&](int input, int v) {
		i64 i = first + v * (i64)blockDim.x;
		if (i >= p.total) i = first;
		const Operand &o = p.in[input];
		return ((const T *)o.base)[offset(p.space, 0, p.space.rank, o, i)];
	});
	for (int k = 0; k < p.outputs; k++) {
		const Operand &o = p.out[k];
#pragma unroll
		for (int v = 0; v < V; v++) {
			i64 i = first + v * (i64)blockDim.x;
			if (i < p.total) ((T *)o.base)[offset(p.space, 0, p.space.rank, o, i)] = m.get(p.program.result[k], v);
		}
	}
}

KERNEL(elementwise4_f32, Elementwise, 128) { elementwise<float, 4>(p); }
KERNEL(elementwise_f32, Elementwise, 128) { elementwise<float, 1>(p); }
KERNEL(elementwise_f64, Elementwise, 128) { elementwise<double, 1>(p); }
