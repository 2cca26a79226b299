//go:build !amd64

package trap

import (
	"fmt"

	"lazaret/platform"
)

// New reports that this processor architecture has no trap platform.
func New() (platform.Platform, error) {
	return nil, fmt.Errorf("%w: the trap platform needs amd64", platform.ErrUnsupported)
}
