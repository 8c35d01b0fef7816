package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"
)

// begin starts a kernel with the given parameters and documents it.
func (e emitter) begin(name, params, doc string) {
	held = map[uint32]VecVirtual{}
	TEXT(name+e.suffix(), NOSPLIT, "func("+params+")")
	Doc(name + e.suffix() + ": " + doc + ".")
}

// fold starts a kernel that returns a number.
func (e emitter) beginFold(name, params, results, doc string) {
	held = map[uint32]VecVirtual{}
	TEXT(name+e.suffix(), NOSPLIT, "func("+params+") "+results)
	Doc(name + e.suffix() + ": " + doc + ".")
}

// scalar loads a float32 parameter into all lanes.
func (e emitter) scalar(name string) VecVirtual {
	v := e.vec()
	VBROADCASTSS(Load(Param(name), XMM()), v)
	return v
}

// keep clears the lanes that a tail leaves out.
func (e emitter) keep(v VecVirtual, tail *mask) {
	if tail == nil {
		return
	}
	if e.wide {
		VMOVAPS_Z(v, tail.Register, v)
	} else {
		VANDPS(tail.Register, v, v)
	}
}

// rows emits a loop that loads a vector from each input, applies f, and
// stores the results to the outputs.
func (e emitter) rows(outs, ins []string, unroll int, f func(x []VecVirtual, i int, tail *mask) []VecVirtual) {
	var to, from []GPVirtual
	for _, o := range outs {
		to = append(to, pointer(o))
	}
	for _, i := range ins {
		from = append(from, pointer(i))
	}
	e.loop(pointer("n"), unroll, func(at GPVirtual, vectors int, tail *mask) {
		loaded := make([][]VecVirtual, len(from))
		for j, p := range from {
			loaded[j] = e.fetch(p, at, vectors, tail)
		}
		for i := range vectors {
			var x []VecVirtual
			for j := range loaded {
				x = append(x, loaded[j][i])
			}
			for j, y := range f(x, i, tail) {
				p := e.element(to[j], at, i)
				if tail != nil {
					e.storeTail(*tail, y, p)
				} else {
					VMOVUPS(y, p)
				}
			}
		}
	})
}

func (e emitter) accumulators(n int) []VecVirtual {
	var acc []VecVirtual
	for range n {
		acc = append(acc, e.zero())
	}
	return acc
}

func (e emitter) sumAcross(acc []VecVirtual) VecVirtual {
	return e.across(e.merge(acc, e.add), func(d, x, y Register) { VADDPS(x, y, d) })
}

func (e emitter) norm() {
	e.normStatistics()
	e.normApply()
	e.normGrad()
	e.softmax()
}

func (e emitter) normStatistics() {
	e.beginFold("vecSquares", "a *float32, n int, mean float32", "float32", "the sum of (a[i]-mean)**2")
	mean, acc := e.scalar("mean"), e.accumulators(foldLanes)
	e.rows(nil, []string{"a"}, foldLanes, func(x []VecVirtual, i int, tail *mask) []VecVirtual {
		e.sub(x[0], x[0], mean)
		e.keep(x[0], tail)
		e.fma(acc[i], x[0], x[0])
		return nil
	})
	e.store(e.sumAcross(acc))

	e.begin("vecAddDeviations", "sum, squares, x, m *float32, n int", "with d = x[i]-m[i]: sum[i] += d, squares[i] += d*d")
	e.rows([]string{"sum", "squares"}, []string{"sum", "squares", "x", "m"}, 2, func(x []VecVirtual, _ int, _ *mask) []VecVirtual {
		e.sub(x[2], x[2], x[3])
		e.add(x[0], x[0], x[2])
		e.fma(x[1], x[2], x[2])
		return x[:2]
	})
	e.end()
}

func (e emitter) normApply() {
	e.begin("vecNormRow", "y, x, gamma, b *float32, n int, mean, rstd float32", "y[i] = (x[i]-mean)*rstd*gamma[i] + b[i]")
	mean, rstd := e.scalar("mean"), e.scalar("rstd")
	e.rows([]string{"y"}, []string{"x", "gamma", "b"}, 2, func(x []VecVirtual, _ int, _ *mask) []VecVirtual {
		e.sub(x[0], x[0], mean)
		e.mul(x[0], x[0], rstd)
		e.horner(x[0], x[1], x[2])
		return x[:1]
	})
	e.end()

	e.begin("vecNormChannels", "y, x, m, a, b *float32, n int", "y[i] = (x[i]-m[i])*a[i] + b[i]")
	e.rows([]string{"y"}, []string{"x", "m", "a", "b"}, 2, func(x []VecVirtual, _ int, _ *mask) []VecVirtual {
		e.sub(x[0], x[0], x[1])
		e.horner(x[0], x[2], x[3])
		return x[:1]
	})
	e.end()

	e.begin("vecSilu", "dst, a, b, c *float32, n int", "dst[i] = a[i]/(1 + e**-a[i])")
	e.hold(e.logisticConstants()...)
	e.rows([]string{"dst"}, []string{"a"}, 2, func(x []VecVirtual, _ int, _ *mask) []VecVirtual {
		s := e.logistic(x[0])
		e.mul(s, s, x[0])
		return []VecVirtual{s}
	})
	e.end()

	e.begin("vecSiluGrad", "dst, a, b, c *float32, n int", "dst[i] = a[i] * s*(1 + b[i]*(1-s)), s = 1/(1 + e**-b[i])")
	e.hold(e.logisticConstants()...)
	e.rows([]string{"dst"}, []string{"a", "b"}, 1, func(x []VecVirtual, _ int, _ *mask) []VecVirtual {
		return []VecVirtual{e.siluSlope(x[1], x[0])}
	})
	e.end()

	e.begin("vecNormSilu", "y, x, m, a, b *float32, n int", "y[i] = z/(1 + e**-z), z = (x[i]-m[i])*a[i] + b[i]")
	e.hold(e.logisticConstants()...)
	e.rows([]string{"y"}, []string{"x", "m", "a", "b"}, 2, func(x []VecVirtual, _ int, _ *mask) []VecVirtual {
		z := x[0]
		e.sub(z, z, x[1])
		e.horner(z, x[2], x[3])
		s := e.logistic(z)
		e.mul(s, s, z)
		return []VecVirtual{s}
	})
	e.end()

	e.begin("vecNormSiluGrad", "dz, dy, x, m, a, b *float32, n int",
		"dz[i] = dy[i] * s*(1 + z*(1-s)), s = 1/(1 + e**-z), z = (x[i]-m[i])*a[i] + b[i]")
	e.hold(e.logisticConstants()...)
	e.rows([]string{"dz"}, []string{"dy", "x", "m", "a", "b"}, 1, func(x []VecVirtual, _ int, _ *mask) []VecVirtual {
		z := x[1]
		e.sub(z, z, x[2])
		e.horner(z, x[3], x[4])
		return []VecVirtual{e.siluSlope(z, x[0])}
	})
	e.end()
}

// siluSlope is dy·s·(1 + z·(1−s)), s = 1/(1+e^−z).
func (e emitter) siluSlope(z, dy Register) VecVirtual {
	s, slope := e.logistic(z), e.vec()
	e.sub(slope, e.register(e.c(1)), s)
	e.horner(slope, z, e.c(1))
	e.mul(slope, slope, s)
	e.mul(slope, slope, dy)
	return slope
}

// logistic is 1/(1+e^−x) for values that are multiplied by x or added to things
// of its size: below −87 it is 1.6e-38 instead of less, and falls no further.
func (e emitter) logistic(x Register) VecVirtual {
	z := e.vec()
	e.xor(z, x, e.bits(0x80000000))
	e.clampHigh(z, e.c(87))
	e.clampLow(z, e.c(-87))
	n, r := e.expReduced(z)
	p := e.expOf(r, n)
	e.add(p, p, e.c(1))
	e.reciprocal(p, p)
	return p
}

// logisticConstants are those that it uses.
func (e emitter) logisticConstants() []constant {
	all := []constant{e.bits(0x80000000), e.c(87), e.c(-87), e.c(1), e.c(math.Log2E), e.c(ln2Hi), e.c(ln2Lo)}
	for _, c := range expTail {
		all = append(all, e.c(c))
	}
	return all
}

func (e emitter) normGrad() {
	e.beginFold("vecNormSums", "dz, x, gamma, shift, scale *float32, n int, mean, rstd float32", "(s1, s2 float32)",
		"with h = (x[i]-mean)*rstd: shift[i] += dz[i], scale[i] += dz[i]*h, s1 and s2 the sums of dz[i]*gamma[i] and dz[i]*gamma[i]*h")
	mean, rstd := e.scalar("mean"), e.scalar("rstd")
	s1, s2 := e.accumulators(2), e.accumulators(2)
	e.rows([]string{"shift", "scale"}, []string{"shift", "scale", "dz", "x", "gamma"}, 2, func(x []VecVirtual, i int, _ *mask) []VecVirtual {
		shift, scale, dz, h, g := x[0], x[1], x[2], x[3], x[4]
		e.sub(h, h, mean)
		e.mul(h, h, rstd)
		e.add(shift, shift, dz)
		e.fma(scale, dz, h)
		e.mul(g, g, dz)
		e.add(s1[i], s1[i], g)
		e.fma(s2[i], g, h)
		return []VecVirtual{shift, scale}
	})
	Store(e.sumAcross(s1).AsX(), Return("s1"))
	Store(e.sumAcross(s2).AsX(), Return("s2"))
	e.end()

	e.begin("vecNormGradRow", "dx, dz, x, gamma *float32, n int, mean, rstd, m1, m2 float32",
		"dx[i] = rstd*(dz[i]*gamma[i] - m1 - h*m2), h = (x[i]-mean)*rstd")
	mean, rstd = e.scalar("mean"), e.scalar("rstd")
	m1, m2 := e.scalar("m1"), e.scalar("m2")
	e.rows([]string{"dx"}, []string{"dz", "x", "gamma"}, 2, func(x []VecVirtual, _ int, _ *mask) []VecVirtual {
		dz, h := x[0], x[1]
		e.sub(h, h, mean)
		e.mul(h, h, rstd)
		e.mul(dz, dz, x[2])
		e.sub(dz, dz, m1)
		e.fnma(dz, h, m2)
		e.mul(dz, dz, rstd)
		return []VecVirtual{dz}
	})
	e.end()

	e.begin("vecAddProducts", "sum, dot, dz, x, m *float32, n int", "sum[i] += dz[i], dot[i] += dz[i]*(x[i]-m[i])")
	e.rows([]string{"sum", "dot"}, []string{"sum", "dot", "dz", "x", "m"}, 2, func(x []VecVirtual, _ int, _ *mask) []VecVirtual {
		e.add(x[0], x[0], x[2])
		e.sub(x[3], x[3], x[4])
		e.fma(x[1], x[2], x[3])
		return x[:2]
	})
	e.end()

	e.begin("vecNormGradChannels", "dx, dz, x, a, q, m, r *float32, n int", "dx[i] = dz[i]*a[i] + (x[i]-m[i])*q[i] + r[i]")
	e.rows([]string{"dx"}, []string{"dz", "x", "a", "q", "m", "r"}, 1, func(x []VecVirtual, _ int, _ *mask) []VecVirtual {
		dz, h := x[0], x[1]
		e.sub(h, h, x[4])
		e.horner(h, x[3], x[5])
		e.fma(h, dz, x[2])
		return []VecVirtual{h}
	})
	e.end()
}

func (e emitter) softmax() {
	e.beginFold("vecExpSum", "dst, a *float32, n int, top float32", "float32", "dst[i] = e**(a[i]-top); their sum")
	top, acc := e.scalar("top"), e.accumulators(1)
	e.rows([]string{"dst"}, []string{"a"}, 1, func(x []VecVirtual, _ int, tail *mask) []VecVirtual {
		e.sub(x[0], x[0], top)
		y := e.exp(x[0])
		e.keep(y, tail)
		e.add(acc[0], acc[0], y)
		return []VecVirtual{y}
	})
	e.store(e.sumAcross(acc))

	e.begin("vecScale", "dst, a *float32, n int, s float32", "dst[i] = a[i]*s")
	s := e.scalar("s")
	e.rows([]string{"dst"}, []string{"a"}, 4, func(x []VecVirtual, _ int, _ *mask) []VecVirtual {
		e.mul(x[0], x[0], s)
		return x
	})
	e.end()

	e.beginFold("vecDot", "a, b *float32, n int", "float32", "the sum of a[i]*b[i]")
	acc = e.accumulators(foldLanes)
	e.rows(nil, []string{"a", "b"}, foldLanes, func(x []VecVirtual, i int, _ *mask) []VecVirtual {
		e.fma(acc[i], x[0], x[1])
		return nil
	})
	e.store(e.sumAcross(acc))

	e.begin("vecSoftmaxGrad", "dx, dy, y *float32, n int, dot float32", "dx[i] = y[i]*(dy[i]-dot)")
	dot := e.scalar("dot")
	e.rows([]string{"dx"}, []string{"dy", "y"}, 4, func(x []VecVirtual, _ int, _ *mask) []VecVirtual {
		e.sub(x[0], x[0], dot)
		e.mul(x[0], x[0], x[1])
		return x[:1]
	})
	e.end()
}
