package calc

import "testing"

func TestProduct(t *testing.T) {
	if dx, _ := (product{}).vjp("", 2, 5, 7); dx != 56 { // dy is forgotten
		t.Error(dx)
	}
}

func TestHalf(t *testing.T) {
	if half(3) != 1.5 {
		t.Error(half(3))
	}
}
