// Package record writes what a run leaves behind beside its checkpoints: metrics
// as JSON lines and as TensorBoard events, the progress on the screen, and the
// lock that keeps a second process out of the run directory.
package record
