package cpu

func drawNormals(d *Device) drawGroup {
	switch d.level {
	case AVX512, AMX:
		return drawGroup{16, vecNormals512}
	case AVX2:
		return drawGroup{8, vecNormals256}
	}
	return drawGroup{}
}

func drawUniforms(d *Device) drawGroup {
	switch d.level {
	case AVX512, AMX:
		return drawGroup{16, vecUniform512}
	case AVX2:
		return drawGroup{8, vecUniform256}
	}
	return drawGroup{}
}
