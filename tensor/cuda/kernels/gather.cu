// Rows of a table, copied by index or added up.
#include "common.cuh"

struct Gather {
	u64 rows, table, index; // (n,C), (entries,C), int32 (n)
	i64 n, entries, channels;
	i64 rowStride, rowChannel, tableStride, tableChannel, indexStride;
};

// A thread copies an element.
template <class T> __device__ __forceinline__ void gather(const Gather &p) {
	i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
	if (i >= p.n * p.channels) return;
	i64 row = i / p.channels, c = i % p.channels;
	i64 entry = ((const int *)p.index)[row * p.indexStride];
	((T *)p.rows)[row * p.rowStride + c * p.rowChannel] = ((const T *)p.table)[entry * p.tableStride + c * p.tableChannel];
}

KERNEL(gather_f32, Gather, 256) { gather<float>(p); }
KERNEL(gather_f64, Gather, 256) { gather<double>(p); }

// A block adds up what goes to one entry of the table, blockDim channels of it (blockIdx.y):
// it looks through the indices, blockDim at a time, and adds the rows that name
// the entry in their order.
template <class T> __device__ __forceinline__ void scatterAdd(const Gather &p) {
	__shared__ int found[256];
	i64 entry = blockIdx.x, c = (i64)blockIdx.y * blockDim.x + threadIdx.x;
	T *to = (T *)p.table + entry * p.tableStride + c * p.tableChannel;
	bool mine = c < p.channels;
	T sum = mine ? *to : T(0);
	for (i64 first = 0; first < p.n; first += blockDim.x) {
		i64 i = first + threadIdx.x;
		found[threadIdx.x] = i < p.n && ((const int *)p.index)[i * p.indexStride] == entry;
		__syncthreads();
		if (mine)
			for (int j = 0; j < (int)blockDim.x; j++)
				if (found[j]) sum += ((const T *)p.rows)[(first + j) * p.rowStride + c * p.rowChannel];
		__syncthreads();
	}
	if (mine) *to = sum;
}

KERNEL(scatter_f32, Gather, 256) { scatterAdd<float>(p); }
KERNEL(scatter_f64, Gather, 256) { scatterAdd<double>(p); }
