package cpu

import (
	"math"

	"github.com/langevin-go/langevin/tensor/backend"
)

// normGroup visits the points (p,c) that share statistics with number g of sample n.
func normGroup(p *backend.NormParams, x *backend.View, g int, f func(p, c int)) {
	if p.Groups == 0 {
		for c := range x.Shape[2] {
			f(g, c)
		}
		return
	}
	w := x.Shape[2] / p.Groups
	for i := range x.Shape[1] {
		for c := g * w; c < (g+1)*w; c++ {
			f(i, c)
		}
	}
}

func affine(p *backend.NormParams, scale, shift *backend.View, n, c int) (g, b float64) {
	g = p.ScaleBase
	if scale != nil {
		g += loadAt(scale, viewAt(scale, []int{n, 0, c}))
	} else if p.ScaleBase == 0 {
		g = 1
	}
	if shift != nil {
		b = loadAt(shift, viewAt(shift, []int{n, 0, c}))
	}
	return g, b
}

// NormForward normalises; see backend.Norm.
func (d *Device) NormForward(p *backend.NormParams, y, mean, rstd, x, scale, shift *backend.View) {
	for n := range x.Shape[0] {
		for g := range rstd.Shape[1] {
			var sum, sq, k float64
			normGroup(p, x, g, func(i, c int) { sum += loadAt(x, viewAt(x, []int{n, i, c})); k++ })
			mu := sum / k
			if p.RMS {
				mu = 0
			}
			normGroup(p, x, g, func(i, c int) {
				v := loadAt(x, viewAt(x, []int{n, i, c})) - mu
				sq += v * v
			})
			r := 1 / math.Sqrt(sq/k+p.Eps)
			if mean != nil {
				storeAt(mean, viewAt(mean, []int{n, g}), mu)
			}
			storeAt(rstd, viewAt(rstd, []int{n, g}), r)
			normGroup(p, x, g, func(i, c int) {
				gamma, beta := affine(p, scale, shift, n, c)
				v := (loadAt(x, viewAt(x, []int{n, i, c}))-mu)*r*gamma + beta
				if p.SiLU {
					v /= 1 + math.Exp(-v)
				}
				storeAt(y, viewAt(y, []int{n, i, c}), v)
			})
		}
	}
}

// NormGrad is the gradient of NormForward; see backend.Norm.
func (d *Device) NormGrad(p *backend.NormParams, dx, dscale, dshift, dy, x, mean, rstd, scale, shift *backend.View) {
	for n := range x.Shape[0] {
		cs := x.Shape[2]
		ds, db := make([]float64, cs), make([]float64, cs)
		for g := range rstd.Shape[1] {
			r, mu := loadAt(rstd, viewAt(rstd, []int{n, g})), 0.0
			if !p.RMS {
				mu = loadAt(mean, viewAt(mean, []int{n, g}))
			}
			point := func(i, c int) (xhat, dyp, gamma float64) {
				xhat = (loadAt(x, viewAt(x, []int{n, i, c})) - mu) * r
				dyp = loadAt(dy, viewAt(dy, []int{n, i, c}))
				gamma, beta := affine(p, scale, shift, n, c)
				if p.SiLU {
					z := xhat*gamma + beta
					s := 1 / (1 + math.Exp(-z))
					dyp *= s * (1 + z*(1-s))
				}
				return xhat, dyp, gamma
			}
			var m1, m2, k float64
			normGroup(p, x, g, func(i, c int) {
				xhat, dyp, gamma := point(i, c)
				m1 += dyp * gamma
				m2 += dyp * gamma * xhat
				ds[c] += dyp * xhat
				db[c] += dyp
				k++
			})
			if p.RMS {
				m1 = 0
			}
			normGroup(p, x, g, func(i, c int) {
				xhat, dyp, gamma := point(i, c)
				storeAt(dx, viewAt(dx, []int{n, i, c}), r*(dyp*gamma-m1/k-xhat*m2/k))
			})
		}
		for c := range cs {
			if dscale != nil {
				storeAt(dscale, viewAt(dscale, []int{n, 0, c}), ds[c])
			}
			if dshift != nil {
				storeAt(dshift, viewAt(dshift, []int{n, 0, c}), db[c])
			}
		}
	}
}
