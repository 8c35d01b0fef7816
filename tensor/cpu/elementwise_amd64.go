package cpu

import (
	"math"
	"unsafe"

	"github.com/langevin-go/langevin/tensor/backend"
)

// The kernels of AVX2 and AVX-512.
var (
	kernels256 = kernels[float32]{ops: withGo([backend.NumOpcodes]kernel[float32]{
		backend.OpScalar: vecFill256,
		backend.OpAdd:    vecAdd256, backend.OpSub: vecSub256, backend.OpMul: vecMul256, backend.OpDiv: vecDiv256,
		backend.OpMin: vecMin256, backend.OpMax: vecMax256, backend.OpLess: vecLess256, backend.OpLessEq: vecLessEq256,
		backend.OpEq: vecEq256, backend.OpSelect: vecSelect256, backend.OpMulAdd: vecMulAdd256,
		backend.OpNeg: vecNeg256, backend.OpAbs: vecAbs256, backend.OpSign: vecSign256, backend.OpSqrt: vecSqrt256,
		backend.OpRsqrt: vecRsqrt256, backend.OpRecip: vecRecip256, backend.OpExp: vecExp256, backend.OpExpm1: vecExpm1256,
		backend.OpLog: vecLog256, backend.OpLog1p: vecLog1p256, backend.OpTanh: vecTanh256, backend.OpSigmoid: vecSigmoid256,
		backend.OpErf: vecErf256, backend.OpSoftplus: vecSoftplus256, backend.OpRound: vecRound256, backend.OpFloor: vecFloor256,
		backend.OpSin: reduced(vecSin256, vecAbove256, backend.OpSin), backend.OpCos: reduced(vecCos256, vecAbove256, backend.OpCos),
		backend.OpPow: powers(vecPow256, vecPowable256),
	}), whole: func(p *plan) program[float32] { return p.whole.avx2 }}
	kernels512 = kernels[float32]{ops: withGo([backend.NumOpcodes]kernel[float32]{
		backend.OpScalar: vecFill512,
		backend.OpAdd:    vecAdd512, backend.OpSub: vecSub512, backend.OpMul: vecMul512, backend.OpDiv: vecDiv512,
		backend.OpMin: vecMin512, backend.OpMax: vecMax512, backend.OpLess: vecLess512, backend.OpLessEq: vecLessEq512,
		backend.OpEq: vecEq512, backend.OpSelect: vecSelect512, backend.OpMulAdd: vecMulAdd512,
		backend.OpNeg: vecNeg512, backend.OpAbs: vecAbs512, backend.OpSign: vecSign512, backend.OpSqrt: vecSqrt512,
		backend.OpRsqrt: vecRsqrt512, backend.OpRecip: vecRecip512, backend.OpExp: vecExp512, backend.OpExpm1: vecExpm1512,
		backend.OpLog: vecLog512, backend.OpLog1p: vecLog1p512, backend.OpTanh: vecTanh512, backend.OpSigmoid: vecSigmoid512,
		backend.OpErf: vecErf512, backend.OpSoftplus: vecSoftplus512, backend.OpRound: vecRound512, backend.OpFloor: vecFloor512,
		backend.OpSin: reduced(vecSin512, vecAbove512, backend.OpSin), backend.OpCos: reduced(vecCos512, vecAbove512, backend.OpCos),
		backend.OpPow: powers(vecPow512, vecPowable512),
	}), whole: func(p *plan) program[float32] { return p.whole.avx512 }}
	folds256 = folds[float32]{vecSum256, vecMaximum256, vecMinimum256}
	folds512 = folds[float32]{vecSum512, vecMaximum512, vecMinimum512}
)

func withGo(k [backend.NumOpcodes]kernel[float32]) [backend.NumOpcodes]kernel[float32] {
	for op := range k {
		if k[op] == nil {
			k[op] = goKernels32.ops[op]
		}
	}
	return k
}

func kernels32(d *Device) *kernels[float32] {
	switch d.level {
	case AVX512, AMX:
		return &kernels512
	case AVX2:
		return &kernels256
	}
	return &goKernels32
}

func folds32(d *Device) *folds[float32] {
	switch d.level {
	case AVX512, AMX:
		return &folds512
	case AVX2:
		return &folds256
	}
	return &goFolds32
}

// powers is pow on all arguments: the vector kernel takes positive finite bases
// and finite exponents, package math the rest, each on its own.
func powers(vector kernel[float32], powable func(a, b *float32, n int) bool) kernel[float32] {
	return func(dst, a, b, c *float32, n int) {
		if powable(a, b, n) {
			vector(dst, a, b, c, n)
			return
		}
		for i := range n { // dst may be a or b
			x, y, to := elemAt(a, i), elemAt(b, i), elemAt(dst, i)
			if powable(x, y, 1) {
				vector(to, x, y, nil, 1)
			} else {
				*to = float32(math.Pow(float64(*x), float64(*y)))
			}
		}
	}
}

// reduced is sin or cos on all arguments: those that the vector kernel's
// reduction by π/2 does not reach go to package math, each on its own, so that
// a value does not depend on its neighbours.
func reduced(vector kernel[float32], above func(*float32, int, float32) bool, op backend.Opcode) kernel[float32] {
	const limit = 1 << 17
	return func(dst, a, b, c *float32, n int) {
		if !above(a, n, limit) {
			vector(dst, a, b, c, n)
			return
		}
		x := unsafe.Slice(a, n)
		for i, v := range x { // dst may be a
			if v > limit || v < -limit {
				unsafe.Slice(dst, n)[i] = float32(op.Eval(float64(v), 0, 0))
			} else {
				vector(elemAt(dst, i), elemAt(a, i), nil, nil, 1)
			}
		}
	}
}
