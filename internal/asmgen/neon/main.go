// Command neon generates the register-tile kernels that tensor/cpu multiplies
// matrices and convolves with on arm64: gemm_arm64.s and its Go declarations.
// (Avo knows amd64 only; and Go's assembler lacks a few NEON instructions, which
// are written as words here.)
//
// A kernel computes a tile of C of up to 12 rows of 8 columns, held in 24 of the 32
// registers over the whole of k; see internal/asmgen/gemm, whose kernels do the same:
//
//	for s in segs { for p in 0..k { C[i][j] += A[off[s] + i·rs + p·ks] · B[j]; B += bs } }
//	C = alpha·C + beta·C₀ + bias
package main

import (
	"errors"
	"flag"
	"fmt"
	"go/format"
	"os"
	"strings"
)

// Offsets of the fields of tensor/cpu.tileArgs.
const (
	argA = 8 * iota
	argB
	argC
	argBias
	argSegs
	argNSegs
	argK
	argRS
	argKS
	argBS
	argCS
	argNext
	argNextStride
	argAlpha
	argBeta       = argAlpha + 4
	argAccumulate = argAlpha + 8
)

const (
	maxRows = 12
	vectors = 2 // of a row
	loads   = 4 // registers that A's scalars take turns in
)

// General registers. The rows' pointers begin at row0; R18 and R27 to R29 are not ours.
const (
	args, b, bs, ks, count      = "R0", "R1", "R2", "R3", "R4"
	segs, nsegs, next, nextStep = "R5", "R6", "R7", "R8"
	rs, tmp, c, cs              = "R9", "R10", "R11", "R12"
)

var rowPointers = [maxRows]string{"R11", "R12", "R13", "R14", "R15", "R16", "R17", "R19", "R20", "R21", "R22", "R23"}

// Vector registers: 0 to 23 hold the tile, 24 and 25 a row of B, 26 to 29 scalars of A.
func acc(row, v int) int { return vectors*row + v }

const (
	rowB    = 24
	scalarA = rowB + vectors
)

type writer struct{ strings.Builder }

func (w *writer) ins(format string, a ...any) { fmt.Fprintf(w, "\t"+format+"\n", a...) }
func (w *writer) label(l string)              { fmt.Fprintf(w, "%s:\n", l) }

// three is an instruction that Go's assembler lacks, d = op(n, m) on four float32.
func (w *writer) three(word uint32, name string, d, n, m int) {
	w.ins("WORD $0x%08x // %s v%d.4s, v%d.4s, v%d.4s", word|uint32(m)<<16|uint32(n)<<5|uint32(d), name, d, n, m)
}

func (w *writer) fadd(d, n, m int) { w.three(0x4e20d400, "fadd", d, n, m) }
func (w *writer) fmul(d, n, m int) { w.three(0x6e20dc00, "fmul", d, n, m) }

// tile generates the kernel for so many rows.
func (w *writer) tile(rows int) {
	fmt.Fprintf(w, "\n// func %s(t *tileArgs)\nTEXT ·%s(SB), NOSPLIT, $0-8\n", name(rows), name(rows))
	w.ins("MOVD t+0(FP), %s", args)
	for _, f := range []struct {
		off int
		r   string
	}{{argB, b}, {argBS, bs}, {argKS, ks}, {argSegs, segs}, {argNSegs, nsegs}, {argNext, next}, {argNextStride, nextStep}, {argRS, rs}} {
		w.ins("MOVD %d(%s), %s", f.off, args, f.r)
	}
	for i := range vectors * rows {
		w.ins("VEOR V%d.B16, V%d.B16, V%d.B16", i, i, i)
	}
	w.label("segment")
	w.ins("MOVD.P 8(%s), %s", segs, rowPointers[0])
	w.ins("MOVD %d(%s), %s", argA, args, tmp)
	w.ins("ADD %s, %s, %s", tmp, rowPointers[0], rowPointers[0])
	for i := 1; i < rows; i++ {
		w.ins("ADD %s, %s, %s", rs, rowPointers[i-1], rowPointers[i])
	}
	w.ins("MOVD %d(%s), %s", argK, args, count)
	w.label("product")
	w.ins("VLD1 (%s), [V%d.S4, V%d.S4]", b, rowB, rowB+1)
	w.ins("ADD %s, %s, %s", bs, b, b)
	for i := range rows {
		a := scalarA + i%loads
		w.ins("VLD1R (%s), [V%d.S4]", rowPointers[i], a)
		w.ins("ADD %s, %s, %s", ks, rowPointers[i], rowPointers[i])
		for v := range vectors {
			w.ins("VFMLA V%d.S4, V%d.S4, V%d.S4", rowB+v, a, acc(i, v))
		}
	}
	w.ins("PRFM (%s), PLDL2KEEP", next)
	w.ins("ADD %s, %s, %s", nextStep, next, next)
	w.ins("SUBS $1, %s, %s", count, count)
	w.ins("BNE product")
	w.ins("SUBS $1, %s, %s", nsegs, nsegs)
	w.ins("BNE segment")
	w.finish(rows)
	w.ins("RET")
}

// finish scales, adds bias and the old values, and stores.
func (w *writer) finish(rows int) {
	const factor, one = scalarA + 2, scalarA
	broadcast := func(off int) {
		w.ins("ADD $%d, %s, %s", off, args, tmp)
		w.ins("VLD1R (%s), [V%d.S4]", tmp, factor)
	}
	broadcast(argAlpha)
	for i := range vectors * rows {
		w.fmul(i, i, factor)
	}
	w.ins("MOVD %d(%s), %s", argBias, args, tmp)
	w.ins("CBZ %s, unbiased", tmp)
	w.ins("VLD1 (%s), [V%d.S4, V%d.S4]", tmp, one, one+1)
	for i := range rows {
		for v := range vectors {
			w.fadd(acc(i, v), acc(i, v), one+v)
		}
	}
	w.label("unbiased")
	w.ins("MOVD %d(%s), %s", argC, args, c)
	w.ins("MOVD %d(%s), %s", argCS, args, cs)
	w.ins("MOVD %d(%s), %s", argAccumulate, args, tmp)
	w.ins("CBZ %s, store", tmp)
	broadcast(argBeta)
	w.ins("MOVD %s, %s", c, tmp)
	for i := range rows {
		w.ins("VLD1 (%s), [V%d.S4, V%d.S4]", tmp, one, one+1)
		for v := range vectors {
			w.ins("VFMLA V%d.S4, V%d.S4, V%d.S4", one+v, factor, acc(i, v))
		}
		w.ins("ADD %s, %s, %s", cs, tmp, tmp)
	}
	w.label("store")
	for i := range rows {
		w.ins("VST1 [V%d.S4, V%d.S4], (%s)", acc(i, 0), acc(i, 1), c)
		if i+1 < rows {
			w.ins("ADD %s, %s, %s", cs, c, c)
		}
	}
}

func name(rows int) string { return fmt.Sprintf("gemmTileNEONx%d", rows) }

func main() {
	out, decl := flag.String("out", "", "file for the assembly"), flag.String("decl", "", "file for the Go declarations")
	flag.Parse()
	const header = "// Code generated by internal/asmgen/neon. DO NOT EDIT.\n\n"
	var asm, stubs writer
	asm.WriteString(header + "#include \"textflag.h\"\n")
	stubs.WriteString(header + "package cpu\n")
	for rows := 1; rows <= maxRows; rows++ {
		asm.tile(rows)
		fmt.Fprintf(&stubs, "\n// %s computes a tile of %d rows of %d columns.\n//\n//go:noescape\nfunc %s(t *tileArgs)\n", name(rows), rows, 4*vectors, name(rows))
	}
	stubs.WriteString("\nvar tilesNEON = [13][3]func(*tileArgs){\n")
	for rows := 1; rows <= maxRows; rows++ {
		fmt.Fprintf(&stubs, "\t%d: {2: %s},\n", rows, name(rows))
	}
	stubs.WriteString("}\n")
	text, err := format.Source([]byte(stubs.String()))
	if err == nil {
		err = errors.Join(os.WriteFile(*out, []byte(asm.String()), 0o644), os.WriteFile(*decl, text, 0o644))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
