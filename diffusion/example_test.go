package diffusion_test

import (
	"fmt"

	"github.com/langevin-go/langevin/diffusion"
)

// From one prediction every other follows.
func ExampleConvert() {
	p := diffusion.CondOT{}.At(0.4)        // x_t = .6·data + .4·ε
	x, eps := p.Alpha*5+p.Sigma*-1.0, -1.0 // data 5, noise −1
	for _, to := range []diffusion.Kind{diffusion.X0, diffusion.Score, diffusion.Velocity} {
		m := diffusion.Convert(diffusion.Eps, to, p)
		fmt.Printf("%v %.1f\n", to, m.OnX*x+m.OnValue*eps)
	}
	// Output:
	// x0 5.0
	// score 2.5
	// velocity -6.0
}
