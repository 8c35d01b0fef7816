//go:build !linux || nocuda || !(amd64 || arm64)

package driver

import "runtime"

// Open binds libcuda. This binary cannot: it was built for another system, or
// with the tag nocuda.
func Open(string) (Driver, error) {
	reason := "this binary was built without it (tag nocuda)"
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		reason = "not supported on " + runtime.GOOS + "/" + runtime.GOARCH
	}
	return nil, &Unavailable{Reason: reason}
}
