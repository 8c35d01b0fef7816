package cuda

import (
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/cuda/driver"
)

// flashKernels are those of flash.cu for heads of at most so many numbers.
type flashKernels struct {
	width                  int
	forward, queries, keys kernel
}

// flashThreads and flashLowThreads are a block's, in float32 and by tensor cores.
const (
	flashThreads    = 256
	flashLowThreads = 128
)

var (
	flashOf   = [...]flashKernels{flashWidth(32, "32"), flashWidth(64, "64"), flashWidth(128, "128")}
	flashMean = kernel{topic: "flash", f32: "flash_mean_f32", low: "flash_mean_low"}
)

func flashWidth(width int, name string) flashKernels {
	of := func(what string) kernel {
		return kernel{topic: "flash", f32: "flash" + name + what + "_f32", low: "flash" + name + what + "_low"}
	}
	return flashKernels{width: width, forward: of(""), queries: of("_queries"), keys: of("_keys")}
}

// fits reports whether flash.cu has kernels for the operands.
func (t *attentionTask) fits() bool {
	return t.q.DType == backend.Float32 && t.q.Shape[3] <= flashOf[len(flashOf)-1].width && !t.d.unfused
}

func (t *attentionTask) flash() {
	k, p := t.flashParams()
	t.launchFlash(&k.forward, t.q.Shape[1], p)
}

func (t *attentionTask) flashGrad() {
	k, p := t.flashParams()
	mean := t.d.scratch(max(1, 4*t.q.Shape[0]*t.q.Shape[1]*t.q.Shape[2]))
	p.mean = uint64(mean)
	launch(t.d.core, flashMean.topic, flashMean.of(backend.Float32, t.d.low), driver.Launch{
		Grid: [3]int{t.q.Shape[0] * t.q.Shape[1] * t.q.Shape[2], 1, 1}, Block: 32}, p)
	t.launchFlash(&k.queries, t.q.Shape[1], p)
	if t.k.Shape[1] > 0 {
		t.launchFlash(&k.keys, t.k.Shape[1], p)
	}
	t.d.release(mean)
}

func (t *attentionTask) flashParams() (*flashKernels, *flashParams) {
	k := &flashOf[0]
	for i := 0; t.q.Shape[3] > k.width; i++ {
		k = &flashOf[i+1]
	}
	p := &t.d.params.flash
	*p = flashParams{heads: int64(t.q.Shape[2]), queries: int64(t.q.Shape[1]), keys: int64(t.k.Shape[1]), width: int64(t.q.Shape[3]), scale: t.scale,
		q: rowsOf(t.q, 2, 1), k: rowsOf(t.k, 2, 1), v: rowsOf(t.v, 2, 1), o: rowsOf(t.o, 2, 1),
		do: rowsOf(t.do, 2, 1), dq: rowsOf(t.dq, 2, 1), dk: rowsOf(t.dk, 2, 1), dv: rowsOf(t.dv, 2, 1),
		mask: rowsOf(t.mask, 1, 2), lse: rowsOf(t.lse, 1, 2)}
	return k, p
}

// launchFlash has a block for 64 of so many positions of each head.
func (t *attentionTask) launchFlash(k *kernel, positions int, p *flashParams) {
	block := flashThreads
	if t.d.low {
		block = flashLowThreads
	}
	launch(t.d.core, k.topic, k.of(backend.Float32, t.d.low), driver.Launch{
		Grid: [3]int{blocks(positions, productTile) * t.q.Shape[0] * t.q.Shape[2], 1, 1}, Block: block}, p)
}
