package cpu

import (
	"sync"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// Products of bfloat16 numbers by AMX: a processor's unit for products of tiles of
// 16 rows of A by 16 columns of B, 32 numbers (16 words) deep. Rows of A must be
// words side by side, so operands that have them otherwise are turned round first.

// amxTiles computes as many panels as t has, for rows of at most 32; see amx_amd64.s.
//
//go:noescape
func amxTiles(t *tileArgs)

const (
	amxRows = 32 // of a tile of C: two of the processor's
	amxDeep = 16 // words of a step
)

// amxConfig describes the processor's eight tiles to it (Intel's manual, volume 1, table 18-1).
type amxConfig struct {
	palette, start uint8
	_              [14]byte
	rowBytes       [16]uint16
	rows           [16]uint8
}

// amxConfigs are those for so many rows of C and words of a step.
var amxConfigs [amxRows + 1][amxDeep + 1]amxConfig

func init() {
	for rows := 1; rows <= amxRows; rows++ {
		upper, lower := min(rows, 16), max(0, rows-16)
		for step := 1; step <= amxDeep; step++ {
			c := &amxConfigs[rows][step]
			c.palette = 1
			set := func(tile, rows, words int) {
				if rows > 0 {
					c.rows[tile], c.rowBytes[tile] = uint8(rows), uint16(4*words)
				}
			}
			set(0, upper, 16)
			set(1, upper, 16)
			set(2, lower, 16)
			set(3, lower, 16)
			set(4, upper, step)
			set(5, lower, step)
			set(6, step, 16)
			set(7, step, 16)
		}
	}
}

// hasAMX reports whether there is AMX, and whether the system lets the process use it.
var hasAMX = sync.OnceValue(func() bool {
	return cpu.X86.HasAMXTile && cpu.X86.HasAMXBF16 && cpu.X86.HasAVX512BF16 && permitAMX()
})

// amxStep is how many words a step has, for all steps of k to be the same. A k that has no
// divisor near 16 takes many small steps, each for the price of a large one: see amxWords.
func amxStep(k int) int {
	step := min(k, amxDeep)
	for k%step != 0 {
		step--
	}
	return step
}

// amxWords is what k should be rounded up to, in parts blocks, where zeros can follow.
func amxWords(k, parts int) int {
	if k <= amxDeep {
		return k
	}
	return roundUp(k, amxDeep*parts)
}

// runAMX computes rows of A by all columns, panels of B a number of bytes apart.
func runAMX(t *tileArgs, rows, columns, panel int) {
	const cols = 2 * 16
	t.panels, t.panel = (columns+cols-1)/cols, panel
	t.mask = uint32(1<<(columns-(t.panels-1)*cols) - 1)
	t.rows = uint32(rows)
	t.step = amxStep(t.k)
	t.steps = t.k / t.step
	t.config = unsafe.Pointer(&amxConfigs[rows][t.step])
	if t.ks == 4 {
		amxTiles(t)
		return
	}
	a, segs, rs, ks := t.a, t.segs, t.rs, t.ks
	t.turn(rows)
	amxTiles(t)
	t.a, t.segs, t.rs, t.ks = a, segs, rs, ks
}

// turn makes A's rows, of which one is beside the other, rows of words side by side.
func (t *tileArgs) turn(rows int) {
	if t.turned == nil {
		t.turned = new(turned)
	}
	r := t.turned
	deep := roundUp(t.k, 16)
	r.words, r.segs = grow(r.words, roundUp(rows, 16)*t.nsegs*deep), r.segs[:0]
	for s, seg := range unsafe.Slice((*int)(t.segs), t.nsegs) {
		r.segs = append(r.segs, 4*s*deep)
		turnWords(r.words[s*deep:], unsafe.Add(t.a, seg), t.nsegs*deep, t.ks, rows, t.k)
	}
	t.a, t.segs, t.rs, t.ks = unsafe.Pointer(&r.words[0]), unsafe.Pointer(&r.segs[0]), 4*t.nsegs*deep, 4
}

// turnWords copies k lines of words, a number of bytes apart, to columns of rows a pitch
// apart. To has room for multiples of 16 rows and columns.
func turnWords(to []float32, from unsafe.Pointer, pitch, line, rows, k int) {
	const side = 16
	blocks := rows / side
	var edge [side * 2 * side]float32
	for p := 0; p < k; p += side {
		lines := unsafe.Add(from, p*line)
		if k-p < side || rows%side != 0 {
			n := min(side, k-p)
			for i := 0; i < rows; i += 2 * side {
				columns := min(2*side, rows-i)
				copyRows512x2(&edge[0], (*float32)(unsafe.Add(lines, 4*i)), 4*2*side, line, n, 0, 0, 1, 1<<32-1, uint32(1<<columns-1))
				transpose512(&to[i*pitch+p], &edge[0], 4*pitch, 4*2*side, (columns+side-1)/side)
			}
			continue
		}
		transpose512(&to[p], (*float32)(lines), 4*pitch, line, blocks)
	}
}
