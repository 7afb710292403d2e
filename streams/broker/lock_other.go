//go:build !unix

package broker

import (
	"errors"
	"fmt"
	"os"
)

// acquire refuses: nothing here keeps a second process out of the folder.
func acquire(string) (*os.File, error) {
	return nil, fmt.Errorf("the embedded broker needs flock; name a Kafka cluster instead: %w",
		errors.ErrUnsupported)
}

// locked is false: no broker runs here.
func locked(string) bool { return false }
