package text

import (
	"container/heap"
	"fmt"
	"maps"
	"slices"
)

// LearnOptions configure [Learn].
type LearnOptions struct {
	Size  int    `yaml:"size" doc:"tokens of the vocabulary at most; the bytes and the special tokens take 514 of them with clip's conventions, 257 with gpt2's" range:"[257,1000000]"`
	Least int    `yaml:"least" doc:"how often a pair must occur to be merged" range:"[1,inf)"`
	Style string `yaml:"style" doc:"clip: lower case, white space cleaned, ends of words marked, texts between special tokens; gpt2: everything kept, spaces belonging to the words behind them" oneof:"clip gpt2"`
}

// SetDefaults is a small vocabulary in CLIP's style.
func (o *LearnOptions) SetDefaults() { *o = LearnOptions{Size: 2048, Least: 2, Style: "clip"} }

// Learn learns a byte-pair encoding from texts (Sennrich et al. 2016): the pair of
// neighbouring tokens that occurs most often becomes a token, again and again; of
// equally frequent pairs the one whose ids are smaller, as in the tokenizers
// library. Any text can be encoded, as every byte is a token. The result depends
// on the texts and their numbers, not on their order.
func Learn(texts []string, o LearnOptions) (*Tokenizer, error) {
	alphabet, ids := 256, map[string]int32{}
	add := func(token string) int32 {
		id := int32(len(ids))
		ids[token] = id
		return id
	}
	suffix, first := "", []string(nil)
	switch o.Style {
	case "clip":
		alphabet, suffix = 512, endOfWord
		for _, mark := range []string{"", endOfWord} {
			for _, b := range byteOrder {
				add(string(byteToRune[b]) + mark)
			}
		}
	case "gpt2":
		first = []string{clipEOS}
		add(clipEOS)
		for _, r := range slices.Sorted(slices.Values(byteToRune[:])) {
			add(string(r))
		}
	default:
		return nil, fmt.Errorf("style must be clip or gpt2, is %q", o.Style)
	}
	last := 2 - 2*len(first) // CLIP's special tokens come last
	if o.Size < alphabet+len(first)+last || o.Size > maxTokens {
		return nil, fmt.Errorf("size must be from %d to %d, is %d", alphabet+len(first)+last, maxTokens, o.Size)
	}
	l := newLearner(countWords(texts, o.Style), &bpe{ids: ids, suffix: suffix, unk: -1})
	var ms merges
	for len(ids) < o.Size-last {
		p, ok := l.best(max(1, o.Least))
		if !ok {
			break
		}
		a, b := l.name[p.a], l.name[p.b]
		ms = append(ms, [2]string{a, b})
		id, known := ids[a+b]
		if !known {
			id = add(a + b)
			l.name = append(l.name, a+b)
		}
		l.merge(p, id)
	}
	if o.Style == "gpt2" {
		return build("", gpt2Definition(ids, ms))
	}
	add(clipBOS)
	add(clipEOS) // the largest id, by which CLIP's first text encoders find the end
	return build("", clipDefinition(ids, ms))
}

// countWords cuts texts into the pieces that merges stay within.
func countWords(texts []string, style string) map[string]int {
	norms, split := cleanCLIP, splitCLIP5
	if style == "gpt2" {
		norms, split = nil, splitGPT2
	}
	words := map[string]int{}
	for _, s := range texts {
		split(apply(norms, valid(s)), func(w string) { words[byteLevel(w)]++ })
	}
	return words
}

// learner counts pairs in words, each kept once with its number.
type learner struct {
	name  []string // of tokens
	words [][]int32
	times []int
	count map[pair]int
	where map[pair]map[int]bool // words that may hold the pair
	queue frequencies
}

func newLearner(words map[string]int, m *bpe) *learner {
	l := &learner{name: make([]string, len(m.ids)), count: map[pair]int{}, where: map[pair]map[int]bool{}}
	for token, id := range m.ids {
		l.name[id] = token
	}
	for _, w := range slices.Sorted(maps.Keys(words)) {
		l.words, l.times = append(l.words, m.symbols(w)), append(l.times, words[w])
	}
	for i := range l.words {
		l.tally(i, 1)
	}
	for p := range l.count {
		l.queue = append(l.queue, frequency{p, l.count[p]})
	}
	heap.Init(&l.queue)
	return l
}

// tally adds a word's pairs to the counts, or takes them away.
func (l *learner) tally(i, sign int) {
	w := l.words[i]
	for k := range len(w) - 1 {
		p := pair{w[k], w[k+1]}
		l.count[p] += sign * l.times[i]
		if sign > 0 {
			if l.where[p] == nil {
				l.where[p] = map[int]bool{}
			}
			l.where[p][i] = true
		}
	}
}

// best is the most frequent pair.
func (l *learner) best(least int) (pair, bool) {
	for len(l.queue) > 0 {
		top := heap.Pop(&l.queue).(frequency)
		switch n := l.count[top.of]; {
		case n != top.n: // changed since: an entry with the present number is there too
		case n < least:
			return pair{}, false
		default:
			return top.of, true
		}
	}
	return pair{}, false
}

// merge replaces a pair by a token in all words.
func (l *learner) merge(p pair, into int32) {
	changed := map[pair]bool{}
	note := func(w []int32) {
		for k := range len(w) - 1 {
			changed[pair{w[k], w[k+1]}] = true
		}
	}
	for i := range l.where[p] {
		w := l.words[i]
		l.tally(i, -1)
		note(w)
		out := w[:0]
		for k := 0; k < len(w); k++ {
			if k+1 < len(w) && (pair{w[k], w[k+1]}) == p {
				out = append(out, into)
				k++
			} else {
				out = append(out, w[k])
			}
		}
		l.words[i] = out
		note(out)
		l.tally(i, 1)
	}
	delete(l.where, p)
	delete(changed, p)
	for q := range changed {
		if n := l.count[q]; n > 0 {
			heap.Push(&l.queue, frequency{q, n})
		}
	}
}

// frequency is how often a pair occurred when it was put into the queue.
type frequency struct {
	of pair
	n  int
}

type frequencies []frequency

func (q frequencies) Len() int { return len(q) }
func (q frequencies) Less(i, j int) bool {
	a, b := q[i], q[j]
	return a.n > b.n || a.n == b.n && (a.of.a < b.of.a || a.of.a == b.of.a && a.of.b < b.of.b)
}
func (q frequencies) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *frequencies) Push(x any)   { *q = append(*q, x.(frequency)) }
func (q *frequencies) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	*q = (*q)[:last]
	return x
}
