package sampler

import "testing"

// Every mistake in a stochastic sampler's options names its field.
func TestStochasticOptions(t *testing.T) {
	for _, c := range []struct {
		field string
		v     interface{ Validate() error }
	}{
		{"eta", &Ancestral{Eta: -1}}, {"noise", &Ancestral{Eta: 1, Noise: -1}},
		{"form", &EulerAncestral{Form: "rf"}}, {"eta", &EulerAncestral{Ancestral: Ancestral{Eta: 2}, Form: "flow"}},
		{"ratio", &DPMppSDE{Ratio: 1}}, {"eta", &DPMppSDE{Ancestral: Ancestral{Eta: -1}, Ratio: 0.5}},
		{"order", sdeMultistep(func(m *DPMMultistepSDE) { m.Order = 4 })},
		{"order", sdeMultistep(func(m *DPMMultistepSDE) { m.Order, m.Predict = 3, OfNoise })},
		{"predict", sdeMultistep(func(m *DPMMultistepSDE) { m.Predict = "v" })},
		{"solver", sdeMultistep(func(m *DPMMultistepSDE) { m.Solver = "euler" })},
		{"third", sdeMultistep(func(m *DPMMultistepSDE) { m.Third = "half" })},
		{"eta", sdeMultistep(func(m *DPMMultistepSDE) { m.Eta = -1 })},
		{"noise", sdeMultistep(func(m *DPMMultistepSDE) { m.Noise = -1 })},
		{"shape", &EulerMaruyama{Shape: "cos"}}, {"measure", &EulerMaruyama{Shape: NoiseSin, Measure: "variance"}},
		{"scale", &EulerMaruyama{Shape: NoiseSin, Measure: "std", Scale: -1}},
		{"predictor", &PredictorCorrector{Predictor: "heun"}},
		{"corrector", &PredictorCorrector{Predictor: None, Corrector: "mala"}},
		{"snr", &PredictorCorrector{Predictor: None, Corrector: None}},
		{"steps", &PredictorCorrector{Predictor: None, Corrector: None, SNR: 1}},
		{"epsilon", &AnnealedLangevin{Epsilon: -1, Steps: 1}}, {"steps", &AnnealedLangevin{}},
		{"min", &RestartInterval{}}, {"max", &RestartInterval{Min: 1, Max: 1}}, {"times", &RestartInterval{Min: 1, Max: 2}},
		{"steps", &RestartInterval{Min: 1, Max: 2, Times: 1}}, {"noise", &Restart{Noise: -1}}, {"intervals", &Restart{}},
		{"intervals", &Restart{Intervals: []RestartInterval{{}}}},
	} {
		err := c.v.Validate()
		if f, ok := err.(interface{ ConfigField() string }); !ok || f.ConfigField() != c.field {
			t.Errorf("%T %+v: error %v, want one about %s", c.v, c.v, err, c.field)
		}
	}
}
