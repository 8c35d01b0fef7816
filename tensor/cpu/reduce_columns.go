package cpu

import "unsafe"

// foldColumns folds n rows, the first at lo, into len(acc.v) columns. Rows are
// added lane by lane, as many to a block as fit, and the lanes of a column
// then go to its accumulator in order.
func (t *reduceTask[T]) foldColumns(worker int, acc accumulators, lo, n int) {
	width, cols := t.shape.total, len(acc.v)
	if cols < width { // a tile of long rows
		t.foldTile(worker, acc, lo, n)
		return
	}
	many := max(1, foldBlock/width)
	if width > foldBlock {
		t.foldTile(worker, acc, lo, n)
		return
	}
	lanes := atLeast(&t.work[worker].lanes, many*width)
	size := 0 // lanes in use
	for r := 0; r < n; r += many {
		m := min(many, n-r) * width
		v := t.values(worker, lo+r*width, m)
		if r == 0 {
			size = m
			copy(lanes, unsafe.Slice(v, m))
		} else {
			t.add(&lanes[0], &lanes[0], v, v, m)
		}
	}
	t.joinLanes(acc, lanes[:size])
}

// foldTile is foldColumns for rows longer than a block: each is cut in segments.
func (t *reduceTask[T]) foldTile(worker int, acc accumulators, lo, n int) {
	lanes := atLeast(&t.work[worker].lanes, len(acc.v))
	for r := range n {
		for c := 0; c < len(acc.v); c += foldBlock {
			m := min(foldBlock, len(acc.v)-c)
			v := t.values(worker, lo+r*t.shape.total+c, m)
			if r == 0 {
				copy(lanes[c:], unsafe.Slice(v, m))
			} else {
				t.add(&lanes[c], &lanes[c], v, v, m)
			}
		}
	}
	t.joinLanes(acc, lanes)
}

// joinLanes adds rows of lanes to the accumulators.
func (t *reduceTask[T]) joinLanes(acc accumulators, lanes []T) {
	for ; len(lanes) > 0; lanes = lanes[len(acc.v):] {
		for c := range acc.v {
			t.join(acc, c, lanes[c])
		}
	}
}

// foldMixed folds n points from lo on, of a rest with several runs, row by row
// of its last run.
func (t *reduceTask[T]) foldMixed(worker int, acc accumulators, lo, n int) {
	rest := t.shape.rest
	length := rest[len(rest)-1]
	many := max(1, foldBlock/length)
	for done := 0; done < n; {
		if length > foldBlock {
			at := done % length
			m := min(foldBlock, length-at)
			t.joinRow(acc, done/length, at, t.values(worker, lo+done, m), m)
			done += m
			continue
		}
		m := min(many*length, n-done)
		v := t.values(worker, lo+done, m)
		for r := 0; r < m; r += length {
			t.joinRow(acc, (done+r)/length, 0, elemAt(v, r), length)
		}
		done += m
	}
}

// joinRow adds m points of a row of the last run, from point at on: to one
// accumulator if that run is reduced, to one each if it is kept.
func (t *reduceTask[T]) joinRow(acc accumulators, row, at int, v *T, m int) {
	rest := t.shape.rest
	last := len(rest) - 1
	k, scale := 0, 1
	if last%2 == 0 { // runs 0, 2, … are kept
		scale = rest[last]
	}
	for i := last - 1; i >= 0; i-- {
		q := row / rest[i]
		if i%2 == 0 {
			k += (row - q*rest[i]) * scale
			scale *= rest[i]
		}
		row = q
	}
	if last%2 != 0 {
		t.join(acc, k, t.fold(v, m))
		return
	}
	for i, x := range unsafe.Slice(v, m) {
		t.join(acc, k+at+i, x)
	}
}
