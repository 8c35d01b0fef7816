//go:build !amd64

package cpu

func drawNormals(*Device) drawGroup  { return drawGroup{} }
func drawUniforms(*Device) drawGroup { return drawGroup{} }
