package cpu

import (
	"sync/atomic"
	"testing"
	"time"
)

// A helper that was waited for too long is done without for some time, and for longer each time.
func TestPoolPauses(t *testing.T) {
	const ms = time.Millisecond
	p := newPool(2)
	at := 100 * ms
	for i := range 8 {
		p.waited(at, at+ms, at+4*ms)
		if want := at + 4*ms + time.Duration(min(1<<i, mostTimes))*3*ms; p.until != want {
			t.Errorf("after wait %d of 3 ms in a row the pause is until %v, want %v", i+1, p.until, want)
		}
		at = p.until + 20*ms // after less than eight such waits
	}
	at = p.until + 30*ms
	p.waited(at, at+ms, at+4*ms)
	if want := at + 7*ms; p.until != want {
		t.Errorf("when all has been well for a while, the pause is until %v, want %v", p.until, want)
	}
	was := p.until
	at += 100 * ms
	p.waited(at, at+ms/10, at+ms/10+tooLong-1) // little time
	p.waited(at, at+2*ms, at+5*ms)             // little beside the work
	if p.until != was {
		t.Errorf("a pause until %v after short waits", p.until)
	}
}

// shares counts the chunks of each worker. The caller's first goes on until a helper has one, if it is to have.
type shares struct {
	shared bool
	chunks [2]atomic.Int32
}

func (s *shares) run(worker, chunk int) {
	s.chunks[worker].Add(1)
	for s.shared && worker == 0 && s.chunks[1].Load() == 0 {
		yield()
	}
}

func TestPoolShares(t *testing.T) {
	p := newPool(2)
	for _, pause := range []time.Duration{0, time.Hour, 0} {
		p.until = now() + pause
		s := &shares{shared: pause == 0}
		p.do(s, 5)
		a, b := s.chunks[0].Load(), s.chunks[1].Load()
		if a+b != 5 || (b > 0) != s.shared {
			t.Errorf("%d chunks by the caller and %d by the helper; a pause: %v", a, b, pause > 0)
		}
		if p.inside.Load() != 0 || p.cur != nil || !p.busy.TryLock() {
			t.Fatal("a helper is in no task, or a task is kept")
		}
		p.busy.Unlock()
	}
}
