package cpu

// attentionPairs computes attention, or its gradient, in words. It reports
// false, having done nothing, where no kernel does.
func (d *Device) attentionPairs(call *attentionCall, scale float64) bool {
	return false
}
