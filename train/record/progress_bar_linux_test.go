package record

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal opens a pseudo-terminal of the given width; what is written to tty
// is what screen reads.
func terminal(t *testing.T, width uint16) (tty *os.File, screen func() string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skip(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Skip(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	if err := unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: width}); err != nil {
		t.Skip(err)
	}
	text := make(chan string)
	go func() {
		var b strings.Builder
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			b.Write(buf[:n])
			if err != nil { // EIO: the terminal was closed
				text <- b.String()
				return
			}
		}
	}()
	return tty, func() string {
		tty.Close()
		return <-text
	}
}

func TestBar(t *testing.T) {
	for _, width := range []uint16{120, 80, 40} {
		tty, screen := terminal(t, width)
		if _, ok := NewProgress(tty, "train", 0, 10).(*bar); !ok {
			t.Fatal("a terminal gets no bar")
		}
		c := &fakeClock{time.Unix(1000, 0)}
		b := newBar(tty, newMeter("train", 0, 200, c.now))
		for step := int64(1); step <= 200; step++ {
			c.advance(100 * time.Millisecond)
			b.Update(step, V("loss", 0.25))
			if step == 100 {
				b.Message("wrote x.png")
			}
		}
		b.Finish()
		b.Finish()
		got := screen()
		want := []string{
			"50% [", "train 100/200  loss 0.25  10.0 steps/s  0:10 left",
			"\x1b[2K\rwrote x.png\r\n",
			"100% [", "train 200/200  loss 0.25  10.0 steps/s  in 0:20",
		}
		for _, w := range want {
			if r := []rune(w); width == 40 && len(r) > 30 {
				w = string(r[:30])
			}
			if !strings.Contains(got, w) {
				t.Errorf("width %d: the screen never shows %q", width, w)
			}
		}
		shown := strings.Split(strings.ReplaceAll(got, "\n", "\r"), "\r")
		for _, line := range shown {
			line = strings.NewReplacer("\x1b[0K", "", "\x1b[2K", "").Replace(line)
			if n := len([]rune(strings.TrimRight(line, " "))); n > int(width) {
				t.Errorf("width %d: a line of %d: %q", width, n, line)
			}
		}
		last := got[strings.LastIndex(strings.TrimRight(got, "\r\n"), "\r")+1:]
		if !strings.HasPrefix(last, " 100% [") || !strings.HasSuffix(last, "\r\n") {
			t.Errorf("width %d: ends with %q", width, last)
		}
		if t.Failed() {
			t.Logf("%q", got[max(0, len(got)-2000):])
		}
	}
}

// A run stopped early leaves its bar where it was.
func TestBarStopped(t *testing.T) {
	tty, screen := terminal(t, 100)
	c := &fakeClock{time.Unix(1000, 0)}
	b := newBar(tty, newMeter("train", 0, 200, c.now))
	c.advance(10 * time.Second)
	b.Update(50)
	c.advance(time.Millisecond)
	b.Update(52)
	b.Finish()
	got := screen()
	lines := strings.Split(strings.TrimSpace(got), "\r")
	if last := lines[len(lines)-1]; !strings.Contains(last, "26% [") || !strings.Contains(last, "train 52/200  5.2 steps/s  in 0:10") {
		t.Errorf("the last line is %q", last)
	}
}
