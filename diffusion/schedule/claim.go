package schedule

import "encoding/json"

// Claimed is the prediction type that a config names although its class has no such
// field and passes it over: a flow-matching scheduler's left from another class. "" if there
// is none, or it says the same.
func Claimed(data []byte) string {
	var c struct {
		Class      string `json:"_class_name"`
		Prediction string `json:"prediction_type"`
	}
	if json.Unmarshal(data, &c) != nil || c.Class != new(FlowMatchEuler).Class() {
		return ""
	}
	if c.Prediction == "flow_prediction" { // as diffusers' multistep schedulers call a velocity
		return ""
	}
	return c.Prediction
}

// Shifted is the factor of a flow-matching grid's shift and the time that it ends with
// before it is shifted, and before 0; 1 and 0 of other schedulers.
func Shifted(s Scheduler) (factor, first float64) {
	if f, ok := s.(*FlowMatchEuler); ok && !f.UseDynamicShifting {
		return f.Shift, 1 / float64(f.NumTrainTimesteps)
	}
	return 1, 0
}
