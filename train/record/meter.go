package record

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// meter knows the figures that both displays show.
type meter struct {
	label       string
	start       int64 // of this process
	step, total int64
	values      []Value
	now         func() time.Time
	began       time.Time
	past        []mark // newest last, at most rateWindow old but for one
}

type mark struct {
	at   time.Time
	step int64
}

// rateWindow is long enough to smooth over a checkpoint, short enough to see a change.
const rateWindow = 30 * time.Second

func newMeter(label string, start, total int64, now func() time.Time) *meter {
	t := now()
	return &meter{label: label, start: start, step: start, total: total, now: now, began: t, past: []mark{{t, start}}}
}

func (m *meter) update(step int64, values []Value) {
	m.step = step
	m.values = append(m.values[:0], values...)
}

// rate gives the steps per second of the last half minute, 0 if unknown, and
// remembers the present.
func (m *meter) rate(now time.Time) float64 {
	first := m.past[0]
	if d := now.Sub(m.past[len(m.past)-1].at); d >= rateWindow/60 {
		m.past = append(m.past, mark{now, m.step})
		for len(m.past) > 2 && now.Sub(m.past[1].at) >= rateWindow {
			m.past = m.past[1:]
		}
	}
	d := now.Sub(first.at).Seconds()
	if d <= 0 || m.step <= first.step {
		return 0
	}
	return float64(m.step-first.step) / d
}

// figures gives "1200/4000  loss 0.01234  85.3 steps/s  0:33 left".
func (m *meter) figures(done bool) string {
	now := m.now()
	rate := m.rate(now)
	if done { // the mean of this process says more than the last half minute
		rate = 0
		if d := now.Sub(m.began).Seconds(); d > 0 {
			rate = float64(m.step-m.start) / d
		}
	}
	parts := []string{fmt.Sprintf("%d/%d", m.step, m.total)}
	for _, v := range m.values {
		parts = append(parts, fmt.Sprintf("%s %.4g", v.Key, v.V))
	}
	if rate > 0 {
		parts = append(parts, speed(rate))
		if !done {
			left := float64(m.total-m.step) / rate
			parts = append(parts, clock(time.Duration(math.Min(left, 1e9)*float64(time.Second)))+" left")
		}
	}
	if done {
		parts = append(parts, "in "+clock(now.Sub(m.began)))
	}
	return strings.Join(parts, "  ")
}

// speed chooses the unit that leaves a number above one.
func speed(perSecond float64) string {
	switch {
	case perSecond >= 100:
		return fmt.Sprintf("%.0f steps/s", perSecond)
	case perSecond >= 1:
		return fmt.Sprintf("%.1f steps/s", perSecond)
	}
	return fmt.Sprintf("%.1f s/step", 1/perSecond)
}

// clock gives 0:33, 12:05, 3:12:05, 2d03:12:05.
func clock(d time.Duration) string {
	s := int64(math.Round(d.Seconds()))
	if s < 0 {
		s = 0
	}
	switch {
	case s < 3600:
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%dd%02d:%02d:%02d", s/86400, s/3600%24, s/60%60, s%60)
}
