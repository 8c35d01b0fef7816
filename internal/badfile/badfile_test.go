package badfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
)

func TestMessages(t *testing.T) {
	kind := errors.New("kind")
	_, missing := os.Open("no/such/file")
	for _, c := range []struct {
		err  error
		is   error
		want string
	}{
		{New("a.b", kind, "has %d parts, want 2", 3), kind, "a.b: has 3 parts, want 2"},
		{At("a.b", 7, kind, "x").In(`tensor "t"`), kind, `a.b: byte 7: tensor "t": x`},
		{New("", kind, "x").In("y"), kind, "y: x"},
		{Read("given/name", missing), fs.ErrNotExist, "given/name: cannot be read: no such file or directory"},
		{Read("outer", At("inner", 3, kind, "x")), kind, "inner: byte 3: x"},
		{Full(strings.NewReader("abc"), make([]byte, 5), "f", 10, kind, "the header"), kind, "f: byte 13: the file ends within the header: it is truncated or of another format"},
		{Full(failing{}, make([]byte, 5), "f", 10, kind, "the header"), io.ErrClosedPipe, "f: cannot be read: io: read/write on closed pipe"},
	} {
		if c.err.Error() != c.want || !errors.Is(c.err, c.is) {
			t.Errorf("got %q, want %q", c.err, c.want)
		}
	}
	if err := Full(strings.NewReader("abc"), make([]byte, 3), "f", 0, kind, "x"); err != nil {
		t.Error(err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }
