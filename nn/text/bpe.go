package text

import (
	"container/heap"
	"unicode/utf8"
)

// pair is two neighbouring tokens.
type pair struct{ a, b int32 }

// merge is what a pair becomes, and when: lower ranks first.
type merge struct {
	rank int32
	into int32
}

// bpe is a byte-pair encoding: a vocabulary and the merges that build its tokens.
type bpe struct {
	ids    map[string]int32
	tokens []string // by id; empty: none
	merges map[pair]merge
	suffix string // of the last token of a word: "</w>", or empty
	unk    int32  // what an unknown character becomes; −1: nothing
	whole  bool   // a word that is a token is not built by merges
}

// word appends the ids of one piece of text, spelt in the vocabulary's characters.
func (m *bpe) word(ids []int32, w string) []int32 {
	if w == "" {
		return ids
	}
	if m.whole {
		if id, ok := m.ids[w]; ok {
			return append(ids, id)
		}
	}
	return append(ids, m.joined(m.symbols(w))...)
}

// symbols are the tokens of single characters.
func (m *bpe) symbols(w string) []int32 {
	out := make([]int32, 0, len(w))
	for i, r := range w {
		end := i + utf8.RuneLen(r)
		s := w[i:end]
		if end == len(w) {
			s += m.suffix
		}
		switch id, ok := m.ids[s]; {
		case ok:
			out = append(out, id)
		case m.unk >= 0:
			out = append(out, m.unk)
		}
	}
	return out
}

// joined applies merges, the lowest rank first and of equal ones the leftmost,
// until there are none. A heap of candidates over a linked list keeps long words
// at n·log n steps.
func (m *bpe) joined(sym []int32) []int32 {
	n := len(sym)
	if n < 2 || len(m.merges) == 0 {
		return sym
	}
	prev, next := make([]int, n), make([]int, n)
	for i := range n {
		prev[i], next[i] = i-1, i+1
	}
	q := make(candidates, 0, n)
	at := func(i int) (c candidate, ok bool) {
		if i < 0 || next[i] >= n {
			return c, false
		}
		p := pair{sym[i], sym[next[i]]}
		g, ok := m.merges[p]
		return candidate{g.rank, i, g.into, p}, ok
	}
	for i := range n {
		if c, ok := at(i); ok {
			q = append(q, c)
		}
	}
	heap.Init(&q)
	for len(q) > 0 {
		c := heap.Pop(&q).(candidate)
		i := c.at
		if sym[i] < 0 || next[i] >= n || (pair{sym[i], sym[next[i]]}) != c.of {
			continue // merged away since
		}
		gone := next[i]
		sym[i], sym[gone] = c.into, -1
		if next[i] = next[gone]; next[i] < n {
			prev[next[i]] = i
		}
		for _, k := range [2]int{prev[i], i} {
			if c, ok := at(k); ok {
				heap.Push(&q, c)
			}
		}
	}
	out := sym[:0]
	for _, id := range sym {
		if id >= 0 {
			out = append(out, id)
		}
	}
	return out
}

// candidate is a merge that may be made at a place.
type candidate struct {
	rank int32
	at   int
	into int32
	of   pair
}

type candidates []candidate

func (q candidates) Len() int { return len(q) }
func (q candidates) Less(i, j int) bool {
	return q[i].rank < q[j].rank || q[i].rank == q[j].rank && q[i].at < q[j].at
}
func (q candidates) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *candidates) Push(x any)   { *q = append(*q, x.(candidate)) }
func (q *candidates) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	*q = (*q)[:last]
	return x
}
