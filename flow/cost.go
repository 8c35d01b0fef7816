package flow

// Cost sets cost (n,n), by rows, to the squared distance of each of the samples x from each of the noises y, both (n,…).
type Cost func(cost []float64, x, y []float32, n int)

// Costed is a coupling whose squared distance may be another than that of Euclidean space; nil is the latter. It is
// for before the first Couple.
type Costed interface {
	Coupling
	SetCost(Cost)
}

// costs are those of a coupling.
type costs struct {
	products products
	other    Cost
}

// SetCost is [Costed]'s.
func (c *costs) SetCost(other Cost) { c.other = other }

// half is half the squared distance, but for terms of rows and of columns, which no plan depends on.
func (c *costs) half(cost []float64, x, y []float32, n int) {
	if c.other == nil {
		c.products.negative(bestScans(), cost, x, y, n, len(x)/n)
		return
	}
	c.other(cost, x, y, n)
	for i := range cost {
		cost[i] /= 2
	}
}

// squared is the squared distance.
func (c *costs) squared(cost []float64, x, y []float32, n int) {
	if c.other == nil {
		squaredDistances(cost, x, y, n)
		return
	}
	c.other(cost, x, y, n)
}

// products computes matrices of dot products. It uses its storage again.
type products struct {
	x, y []float64 // the factors, in the order in which the kernel reads them
	edge []float64 // a block that does not fit
}

// productBytes is what the part of y that is worked with at a time may take of the cache.
const productBytes = 256 << 10

// negative sets cost (n,n) to −xᵢ·yⱼ, which for assignments is as good as ½‖xᵢ−yⱼ‖²:
// they differ by a term of the row and one of the column. x and y are (n,dim).
func (p *products) negative(k *scans, cost []float64, x, y []float32, n, dim int) {
	if n == 0 || dim == 0 {
		clear(cost)
		return
	}
	cols := k.cols
	panels, groups := (n+cols-1)/cols, (n+dotRows-1)/dotRows
	p.y = interleave(grow(p.y, panels*cols*dim), y, n, dim, cols, 1)
	p.x = interleave(grow(p.x, groups*dotRows*dim), x, n, dim, dotRows, -1)
	p.edge = grow(p.edge, dotRows*cols)
	most := max(1, productBytes/(8*cols*dim)) // panels at a time
	for from := 0; from < panels; from += most {
		for g := range groups {
			for b := from; b < min(panels, from+most); b++ {
				p.block(k, cost, g*dotRows, b*cols, n, dim)
			}
		}
	}
}

// block computes the block of cost whose first element is (i,j).
func (p *products) block(k *scans, cost []float64, i, j, n, dim int) {
	x, y := &p.x[i*dim], &p.y[j*dim]
	if i+dotRows <= n && j+k.cols <= n {
		k.dots(&cost[i*n+j], 8*n, x, y, dim)
		return
	}
	k.dots(&p.edge[0], 8*k.cols, x, y, dim)
	for r := i; r < min(n, i+dotRows); r++ {
		copy(cost[r*n+j:(r+1)*n], p.edge[(r-i)*k.cols:][:k.cols])
	}
}

// interleave brings (n,dim) to groups of width rows each, (dim,width), filled up with
// zeros and multiplied with sign.
func interleave(to []float64, from []float32, n, dim, width int, sign float64) []float64 {
	for g := 0; g < n; g += width {
		group := to[g*dim:][:width*dim]
		for i := range width {
			if g+i >= n {
				for d := range dim {
					group[d*width+i] = 0
				}
				continue
			}
			for d, v := range from[(g+i)*dim : (g+i+1)*dim] {
				group[d*width+i] = sign * float64(v)
			}
		}
	}
	return to
}
