// Kernels that are wrong on purpose, and what they are wrong about: the
// emulation's own tests run them.
#include "common.cuh"

struct Mistake { u64 out; i64 n; };

// All threads write what their neighbour put into shared memory.
template <bool BARRIER> __device__ void neighbour(const Mistake &p) {
	__shared__ int s[64];
	int t = threadIdx.x, n = (int)p.n;
	s[t] = -1;
	__syncthreads();
	s[t] = t;
	if (BARRIER) __syncthreads();
	((int *)p.out)[t] = s[(t + 1) % n];
}
KERNEL(mistake_none, Mistake, 64) { neighbour<true>(p); }
KERNEL(mistake_no_barrier, Mistake, 64) { neighbour<false>(p); }

// Half of the threads do not reach the barrier, or reach another one.
KERNEL(mistake_half, Mistake, 64) {
	if (threadIdx.x < p.n / 2) __syncthreads();
	((int *)p.out)[threadIdx.x] = 1;
}
KERNEL(mistake_two, Mistake, 64) {
	if (threadIdx.x < p.n / 2)
		__syncthreads();
	else
		__syncthreads();
	((int *)p.out)[threadIdx.x] = 1;
}

// A lane leaves its warp before an exchange.
KERNEL(mistake_lane, Mistake, 64) {
	if (threadIdx.x == 3) return;
	((int *)p.out)[threadIdx.x] = __shfl_xor_sync(0xffffffffu, (int)threadIdx.x, 1);
}

// Several exchanges in a row: lane i ends with i^7.
KERNEL(mistake_exchange, Mistake, 64) {
	int v = (int)threadIdx.x;
	for (int d = 1; d < 8; d *= 2) v = __shfl_xor_sync(0xffffffffu, v, d);
	((int *)p.out)[threadIdx.x] = v;
}
