package backend

// Lowered is optional: a device that can also compute in bfloat16.
type Lowered interface {
	// BF16 is the same device, with the same memory, whose Gemm, convolutions and
	// attention (and their gradients) round each float32 number that enters a
	// product to bfloat16, to nearest even; subnormal numbers may count as zero.
	// Attention's probabilities and the gradients of its scores are such numbers
	// too. Products are added up in float32, and all results are float32.
	// Everything else, and float64, is untouched. BF16 of such a device is itself.
	BF16() Device
}

// SameMemory reports whether what lives on one device can be used on the other.
func SameMemory(a, b Device) bool { return a == b || lowered(a) == lowered(b) }

func lowered(d Device) Device {
	if l, ok := d.(Lowered); ok {
		return l.BF16()
	}
	return d
}
