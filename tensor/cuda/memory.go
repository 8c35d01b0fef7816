package cuda

import (
	"errors"
	"fmt"

	"github.com/langevin-go/langevin/tensor/cuda/driver"
)

// pool hands out device memory and keeps what comes back for the next request of
// the size. All use of it is in one stream, so what is free on the host's
// side may be given away at once: the stream orders the uses.
type pool struct {
	ctx    driver.Context
	stream driver.Stream
	limit  int64              // of held; 0: none
	held   int64              // bytes taken from the driver
	used   int64              // bytes of them handed out
	size   map[driver.Ptr]int // of every block, in use or not
	free   map[int][]driver.Ptr
}

func (p *pool) init(ctx driver.Context, s driver.Stream, limit int64) {
	*p = pool{ctx: ctx, stream: s, limit: limit, size: make(map[driver.Ptr]int), free: make(map[int][]driver.Ptr)}
}

// class is the size of the block that holds n bytes: at most a quarter, or 1 MiB, more.
func class(n int) int {
	const large = 8 << 20
	if n > large {
		return (n + 1<<20 - 1) &^ (1<<20 - 1)
	}
	step := 128
	for step*8 < n {
		step *= 2
	}
	return (n + step - 1) / step * step
}

func (p *pool) alloc(n int) (driver.Ptr, error) {
	size := class(n)
	if list := p.free[size]; len(list) > 0 {
		b := list[len(list)-1]
		p.free[size] = list[:len(list)-1]
		p.used += int64(size)
		return b, nil
	}
	if p.limit > 0 && p.held+int64(size) > p.limit {
		if err := p.trim(); err != nil {
			return 0, err
		}
		if p.held+int64(size) > p.limit {
			return 0, fmt.Errorf("%w: the limit of %s is used up", p.wanted(n), mebibytes(p.limit))
		}
	}
	b, err := p.ctx.Alloc(size)
	if errors.Is(err, driver.OutOfMemory) {
		if err := p.trim(); err != nil {
			return 0, err
		}
		b, err = p.ctx.Alloc(size)
	}
	switch {
	case errors.Is(err, driver.OutOfMemory):
		return 0, p.wanted(n)
	case err != nil:
		return 0, err
	}
	p.size[b] = size
	p.held += int64(size)
	p.used += int64(size)
	return b, nil
}

// wanted says what was asked for and what there is, and what helps.
func (p *pool) wanted(n int) error {
	rest := ""
	if free, total, err := p.ctx.MemInfo(); err == nil {
		rest = fmt.Sprintf(", %s of %s are free", mebibytes(free), mebibytes(total))
	}
	return &memoryError{fmt.Sprintf("%s were asked for, %s are in use here%s; a smaller batch or network, checkpoint: true or precision: bf16 need less",
		mebibytes(int64(n)), mebibytes(p.used), rest)}
}

type memoryError struct{ text string }

func (e *memoryError) Error() string { return e.text }
func (e *memoryError) Unwrap() error { return driver.OutOfMemory }

func mebibytes(n int64) string {
	if n < 10<<20 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

func (p *pool) release(b driver.Ptr) {
	size, ok := p.size[b]
	if !ok {
		panic(fmt.Sprintf("cuda: memory at %#x is freed that is not allocated", uintptr(b)))
	}
	p.used -= int64(size)
	p.free[size] = append(p.free[size], b)
}

// trim gives what is free back to the driver, once the stream no longer uses it.
func (p *pool) trim() error {
	if err := p.ctx.Wait(p.stream); err != nil {
		return err
	}
	for size, list := range p.free {
		for _, b := range list {
			if err := p.ctx.Free(b); err != nil {
				return err
			}
			delete(p.size, b)
			p.held -= int64(size)
		}
		delete(p.free, size)
	}
	return nil
}

func (p *pool) close() error {
	for b := range p.size {
		if err := p.ctx.Free(b); err != nil {
			return err
		}
	}
	p.size, p.free = nil, nil
	return nil
}
