//go:build !amd64

package ptrace

import (
	"fmt"

	"lazaret/platform"
)

// New reports that this processor architecture has no ptrace platform.
func New() (platform.Platform, error) {
	return nil, fmt.Errorf("%w: the ptrace platform needs amd64", platform.ErrUnsupported)
}
