package cpu

import (
	"sync/atomic"
	"testing"
	"time"
)

// lateTask is a task of two chunks: the caller's ends when a helper has the other, which takes time.
type lateTask struct {
	helper  time.Duration
	entered atomic.Bool
	byWhom  [2]atomic.Int32 // 1 more than the worker
}

func (t *lateTask) run(worker, chunk int) {
	t.byWhom[chunk].Store(int32(worker) + 1)
	if worker > 0 {
		t.entered.Store(true)
		time.Sleep(t.helper)
		return
	}
	for t.helper > 0 && !t.entered.Load() {
		yield()
	}
}

// A helper that is waited for too long is done without for some time, and for longer each time.
func TestPoolPauses(t *testing.T) {
	p := newPool(2)
	var pauses []time.Duration
	for range 8 {
		p.until = now() // the pause is over
		before := p.until
		p.do(&lateTask{helper: 20 * time.Millisecond}, 2)
		if p.until <= before {
			t.Fatalf("no pause after a wait of 20 ms")
		}
		pauses = append(pauses, p.times)
	}
	for i, n := range pauses {
		if want := time.Duration(min(2<<i, mostTimes)); n != want {
			t.Errorf("after wait %d the next pause is %d times as long as the next wait, want %d", i+1, n, want)
		}
	}
	p.until = now() + time.Hour
	late := &lateTask{}
	p.do(late, 2)
	for i := range late.byWhom {
		if w := late.byWhom[i].Load(); w != 1 {
			t.Errorf("during a pause worker %d ran chunk %d", w-1, i)
		}
	}
	// After a long time without waits a pause is short again.
	p.until = now() - time.Hour
	p.do(&lateTask{helper: 20 * time.Millisecond}, 2)
	if p.times != 2 {
		t.Errorf("the next pause is %d times as long as the wait, want 2", p.times)
	}
	if p.inside.Load() != 0 || p.cur != nil {
		t.Error("a helper is in no task, or a task is kept")
	}
}
