// Layer and group normalisation with a factor, a summand and SiLU, and their
// gradients. x is (samples, positions, channels). A set shares its statistics: a position's
// channels (layer), or a group's channels at all positions (group).
#include "common.cuh"

struct Vectors { // an operand (samples, positions, channels); base 0: absent
	u64 base;
	i64 sample, position, channel; // strides
};

struct Norm {
	i64 positions, channels, sets, elems; // sets of a sample, elements of a set
	i64 width;                            // channels of a set
	double eps, scaleBase;
	Vectors x, y, mean, rstd, scale, shift, dy, dx, dscale, dshift; // mean and rstd are (samples, sets)
	int layer, rms, silu, unused;
};

template <class T> __device__ __forceinline__ T *at(const Vectors &v, i64 n, i64 p, i64 c) {
	return (T *)v.base + n * v.sample + p * v.position + c * v.channel;
}

// Set is one of the sets of a sample.
struct Set {
	const Norm &p;
	i64 n, s;
	__device__ __forceinline__ Set(const Norm &p) : p(p), n(blockIdx.x / p.sets), s(blockIdx.x % p.sets) {}
	__device__ __forceinline__ i64 position(i64 e) const { return p.layer ? s : e / p.width; }
	__device__ __forceinline__ i64 channel(i64 e) const { return p.layer ? e : s * p.width + e % p.width; }
};

template <class T> __device__ __forceinline__ T factor(const Norm &p, i64 n, i64 c) {
	return p.scale.base ? (T)p.scaleBase + *at<const T>(p.scale, n, 0, c) : T(1);
}

template <class T> __device__ __forceinline__ T summand(const Norm &p, i64 n, i64 c) {
	return p.shift.base ? *at<const T>(p.shift, n, 0, c) : T(0);
}

// y = act((x − mean)·rstd·factor + summand). A block has a set, which it goes through
// three times: mean, variance about it, results.
template <class T> __device__ __forceinline__ void normalise(const Norm &p) {
	Set set(p);
	T mean = 0;
	if (!p.rms) {
		Total<T> total;
		for (i64 e = threadIdx.x; e < p.elems; e += blockDim.x) total.add(*at<const T>(p.x, set.n, set.position(e), set.channel(e)));
		mean = (T)(blockSum(total.get()) / p.elems);
	}
	Total<T> squares;
	for (i64 e = threadIdx.x; e < p.elems; e += blockDim.x) {
		T d = *at<const T>(p.x, set.n, set.position(e), set.channel(e)) - mean;
		squares.add(d * d);
	}
	T rstd = (T)(1 / sqrt(blockSum(squares.get()) / p.elems + p.eps));
	if (threadIdx.x == 0) {
		if (p.mean.base) *at<T>(p.mean, set.n, set.s, 0) = mean;
		*at<T>(p.rstd, set.n, set.s, 0) = rstd;
	}
	for (i64 e = threadIdx.x; e < p.elems; e += blockDim.x) {
		i64 pos = set.position(e), c = set.channel(e);
		T z = (*at<const T>(p.x, set.n, pos, c) - mean) * rstd * factor<T>(p, set.n, c) + summand<T>(p, set.n, c);
		*at<T>(p.y, set.n, pos, c) = p.silu ? z * sigmoid(z) : z;
	}
}

KERNEL(norm_f32, Norm, 1024) { normalise<float>(p); }
KERNEL(norm_f64, Norm, 1024) { normalise<double>(p); }

// hat is x̂ = (x − mean)·rstd and dz the gradient behind the activation.
template <class T> __device__ __forceinline__ void point(const Norm &p, i64 n, i64 pos, i64 c, T mean, T rstd, T gamma, T &hat, T &dz) {
	hat = (*at<const T>(p.x, n, pos, c) - mean) * rstd;
	dz = *at<const T>(p.dy, n, pos, c);
	if (p.silu) {
		T z = hat * gamma + summand<T>(p, n, c), s = sigmoid(z);
		dz *= s * (1 + z * (1 - s));
	}
}

template <class T> __device__ __forceinline__ T meanOf(const Norm &p, i64 n, i64 s) { return p.rms ? T(0) : *at<const T>(p.mean, n, s, 0); }

// dx = rstd·(dz·γ − m1 − x̂·m2), m1 and m2 the set's means of dz·γ and dz·γ·x̂.
template <class T> __device__ __forceinline__ void normGrad(const Norm &p) {
	Set set(p);
	T mean = meanOf<T>(p, set.n, set.s), rstd = *at<const T>(p.rstd, set.n, set.s, 0);
	Total<T> plain, along;
	for (i64 e = threadIdx.x; e < p.elems; e += blockDim.x) {
		i64 c = set.channel(e);
		T hat, dz, gamma = factor<T>(p, set.n, c);
		point(p, set.n, set.position(e), c, mean, rstd, gamma, hat, dz);
		plain.add(dz * gamma);
		along.add(dz * gamma * hat);
	}
	T m1 = (T)(blockSum(plain.get()) / p.elems), m2 = (T)(blockSum(along.get()) / p.elems);
	if (p.rms) m1 = 0;
	for (i64 e = threadIdx.x; e < p.elems; e += blockDim.x) {
		i64 pos = set.position(e), c = set.channel(e);
		T hat, dz, gamma = factor<T>(p, set.n, c);
		point(p, set.n, pos, c, mean, rstd, gamma, hat, dz);
		*at<T>(p.dx, set.n, pos, c) = rstd * (dz * gamma - m1 - hat * m2);
	}
}

KERNEL(norm_grad_f32, Norm, 1024) { normGrad<float>(p); }
KERNEL(norm_grad_f64, Norm, 1024) { normGrad<double>(p); }

// dshift = Σ dz and dscale = Σ dz·x̂ over a sample's positions. A block has a
// sample (blockIdx.x) and 32 channels, and 8 threads for each.
template <class T> __device__ __forceinline__ void channelGrad(const Norm &p) {
	__shared__ double parts[2][8][33];
	i64 n = blockIdx.x, c = (i64)blockIdx.y * 32 + threadIdx.x % 32;
	int lane = threadIdx.x / 32;
	Total<T> shift, scale;
	if (c < p.channels) {
		T gamma = factor<T>(p, n, c);
		for (i64 pos = lane; pos < p.positions; pos += 8) {
			i64 s = p.layer ? pos : c / p.width;
			T hat, dz;
			point(p, n, pos, c, meanOf<T>(p, n, s), *at<const T>(p.rstd, n, s, 0), gamma, hat, dz);
			shift.add(dz);
			scale.add(dz * hat);
		}
	}
	parts[0][lane][threadIdx.x % 32] = shift.get();
	parts[1][lane][threadIdx.x % 32] = scale.get();
	__syncthreads();
	if (lane > 1 || c >= p.channels) return; // lane 0 folds the first sums, lane 1 the second
	const Vectors &to = lane ? p.dscale : p.dshift;
	if (!to.base) return;
	double sum = 0;
#pragma unroll
	for (int i = 0; i < 8; i++) sum += parts[lane][i][threadIdx.x % 32];
	*at<T>(to, n, 0, c) = (T)sum;
}

KERNEL(norm_channels_f32, Norm, 256) { channelGrad<float>(p); }
KERNEL(norm_channels_f64, Norm, 256) { channelGrad<double>(p); }
