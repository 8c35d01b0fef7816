// Convolutions over three spatial axes as products of matrices that are never
// made: sources find an element where it lies in the image.
//
//	forward:         y[(n,o), co]      = Σ_(k,ci) x[n, o·stride + k·dilation − lo, ci] · w[k, ci, co]
//	input gradient:  dx[(n,i), ci]     = Σ_(k,co) dy[n, (i + lo − k·dilation)/stride, co] · w[k, ci, co]
//	weight gradient: dw[(k,ci), co]    = Σ_(n,o)  x[n, o·stride + k·dilation − lo, ci] · dy[n, o, co]
//
// blockIdx.z is a group of channels.
#include "product.cuh"

struct Image {
	u64 base;
	i64 sample, space[3], channel; // strides
};

struct Conv {
	Image x, y;
	u64 w;
	i64 wTap[3], wIn, wOut; // strides
	u64 bias;               // 0: none
	i64 biasStride;
	i64 samples, groups, in, out; // channels of a group
	int size[3], outSize[3], taps[3];
	int stride[3], dilation[3], lo[3];
};

struct Place { int p[3]; };

__device__ __forceinline__ Place place(u32 i, const int *size) {
	Place r;
	r.p[2] = i % (u32)size[2], i /= (u32)size[2];
	r.p[1] = i % (u32)size[1], r.p[0] = i / (u32)size[1];
	return r;
}

__device__ __forceinline__ i64 offset(const Place &at, const i64 *stride) { return at.p[0] * stride[0] + at.p[1] * stride[1] + at.p[2] * stride[2]; }

__device__ __forceinline__ u32 points(const int *size) { return (u32)(size[0] * size[1] * size[2]); }

// inputAt is where output position o meets tap k in x; false: in the padding.
__device__ __forceinline__ bool inputAt(const Conv &p, const Place &o, const Place &k, i64 &at) {
	at = 0;
	bool ok = true;
#pragma unroll
	for (int ax = 0; ax < 3; ax++) {
		int i = o.p[ax] * p.stride[ax] + k.p[ax] * p.dilation[ax] - p.lo[ax];
		ok = ok && i >= 0 && i < p.size[ax];
		at += i * p.x.space[ax];
	}
	return ok;
}

// outputAt is where input position i is reached through tap k in y; false: nowhere.
__device__ __forceinline__ bool outputAt(const Conv &p, const Place &i, const Place &k, i64 &at) {
	at = 0;
	bool ok = true;
#pragma unroll
	for (int ax = 0; ax < 3; ax++) {
		int o = i.p[ax] + p.lo[ax] - k.p[ax] * p.dilation[ax];
		ok = ok && o >= 0 && o % p.stride[ax] == 0 && o / p.stride[ax] < p.outSize[ax];
		at += o / p.stride[ax] * p.y.space[ax];
	}
	return ok;
}

// Spot is a position of a sample.
template <class T> struct Spot { const T *sample; Place at; };

// spot is position i of all samples' in an image, from a channel on.
template <class T> __device__ __forceinline__ Spot<T> spot(const Image &x, const int *size, i64 channel, i64 i) {
	u32 n = points(size);
	return Spot<T>{(const T *)x.base + i / n * x.sample + channel * x.channel, place((u32)(i % n), size)};
}

// Patches: row (n,o), element (k,ci) of x.
template <class T> struct Patches {
	typedef Spot<T> Row;
	const Conv &p;
	i64 group;
	bool along;
	__device__ __forceinline__ Row row(i64 i) const {
		return spot<T>(p.x, p.outSize, group * p.in, i);
	}
	__device__ __forceinline__ T get(const Row &r, i64 e) const {
		u32 tap = (u32)e / (u32)p.in, ci = (u32)e % (u32)p.in;
		i64 at;
		return inputAt(p, r.at, place(tap, p.taps), at) ? r.sample[at + ci * p.x.channel] : T(0);
	}
};

// Filters: row c of the channels on one side, element (k,d) of the taps and the channels on the other.
template <class T> struct Filters {
	typedef const T *Row;
	const Conv &p;
	const T *base; // of the group
	i64 line, inner; // strides of c and d
	u32 channels; // of which d is one
	bool along;
	__device__ __forceinline__ Row row(i64 c) const { return base + c * line; }
	__device__ __forceinline__ T get(Row r, i64 e) const { return r[offset(place((u32)e / channels, p.taps), p.wTap) + (u32)e % channels * inner]; }
};

// Pixels: row (n,position), column c of an image's channels from first on.
template <class T> struct Pixels {
	const Image &to;
	const int *size;
	i64 first;
	const T *bias; // null: none
	i64 biasStride;
	__device__ __forceinline__ void put(i64 m, i64 n, T sum) const {
		u32 all = points(size);
		i64 c = first + n;
		if (bias) sum += bias[c * biasStride];
		((T *)to.base)[m / all * to.sample + offset(place((u32)(m % all), size), to.space) + c * to.channel] = sum;
	}
};

template <class T, bool LOW> __device__ __forceinline__ void forward(const Conv &p) {
	i64 g = blockIdx.z;
	product<T, LOW>(Patches<T>{p, g, true}, Filters<T>{p, (const T *)p.w + g * p.out * p.wOut, p.wOut, p.wIn, (u32)p.in, false},
		Pixels<T>{p.y, p.outSize, g * p.out, (const T *)p.bias, p.biasStride},
		p.samples * points(p.outSize), p.out, p.in * points(p.taps), blockIdx.x, blockIdx.y);
}

KERNEL(conv_forward_f32, Conv, PRODUCT_THREADS) { forward<float, false>(p); }
KERNEL(conv_forward_f64, Conv, PRODUCT_THREADS) { forward<double, false>(p); }
KERNEL(conv_forward_low, Conv, PRODUCT_THREADS) { forward<float, true>(p); }

// Reached: row (n,i), element (k,co) of dy.
template <class T> struct Reached {
	typedef Spot<T> Row;
	const Conv &p;
	i64 group;
	bool along;
	__device__ __forceinline__ Row row(i64 i) const {
		return spot<T>(p.y, p.size, group * p.out, i);
	}
	__device__ __forceinline__ T get(const Row &r, i64 e) const {
		u32 tap = (u32)e / (u32)p.out, co = (u32)e % (u32)p.out;
		i64 at;
		return outputAt(p, r.at, place(tap, p.taps), at) ? r.sample[at + co * p.y.channel] : T(0);
	}
};

template <class T, bool LOW> __device__ __forceinline__ void inputGrad(const Conv &p) {
	i64 g = blockIdx.z;
	product<T, LOW>(Reached<T>{p, g, true}, Filters<T>{p, (const T *)p.w + g * p.out * p.wOut, p.wIn, p.wOut, (u32)p.out, true},
		Pixels<T>{p.x, p.size, g * p.in, nullptr, 0},
		p.samples * points(p.size), p.in, p.out * points(p.taps), blockIdx.x, blockIdx.y);
}

KERNEL(conv_input_f32, Conv, PRODUCT_THREADS) { inputGrad<float, false>(p); }
KERNEL(conv_input_f64, Conv, PRODUCT_THREADS) { inputGrad<double, false>(p); }
KERNEL(conv_input_low, Conv, PRODUCT_THREADS) { inputGrad<float, true>(p); }

// Met: row (k,ci), element (n,o) of x.
template <class T> struct Met {
	typedef Spot<T> Row;
	const Conv &p;
	i64 group;
	bool along;
	__device__ __forceinline__ Row row(i64 e) const {
		return Row{(const T *)p.x.base + (group * p.in + (u32)e % (u32)p.in) * p.x.channel, place((u32)e / (u32)p.in, p.taps)};
	}
	__device__ __forceinline__ T get(const Row &r, i64 i) const {
		u32 n = points(p.outSize);
		i64 at;
		return inputAt(p, place((u32)(i % n), p.outSize), r.at, at) ? r.sample[i / n * p.x.sample + at] : T(0);
	}
};

// Channels: row co, element (n,o) of dy.
template <class T> struct Channels {
	typedef const T *Row;
	const Conv &p;
	i64 group;
	bool along;
	__device__ __forceinline__ Row row(i64 co) const { return (const T *)p.y.base + (group * p.out + co) * p.y.channel; }
	__device__ __forceinline__ T get(Row r, i64 i) const {
		u32 n = points(p.outSize);
		return r[i / n * p.y.sample + offset(place((u32)(i % n), p.outSize), p.y.space)];
	}
};

template <class T> struct WeightSink {
	const Conv &p;
	i64 group;
	__device__ __forceinline__ void put(i64 m, i64 n, T sum) const {
		((T *)p.w)[offset(place((u32)m / (u32)p.in, p.taps), p.wTap) + (u32)m % (u32)p.in * p.wIn + (group * p.out + n) * p.wOut] = sum;
	}
};

template <class T, bool LOW> __device__ __forceinline__ void weightGrad(const Conv &p) {
	i64 g = blockIdx.z;
	product<T, LOW>(Met<T>{p, g, false}, Channels<T>{p, g, false}, WeightSink<T>{p, g},
		p.in * points(p.taps), p.out, p.samples * points(p.outSize), blockIdx.x, blockIdx.y);
}

KERNEL(conv_weight_f32, Conv, PRODUCT_THREADS) { weightGrad<float, false>(p); }
KERNEL(conv_weight_f64, Conv, PRODUCT_THREADS) { weightGrad<double, false>(p); }
KERNEL(conv_weight_low, Conv, PRODUCT_THREADS) { weightGrad<float, true>(p); }
