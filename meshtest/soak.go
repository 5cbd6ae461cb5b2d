package meshtest

import "os"

// Length is how long a test shall be, in its own measure: the short form for every run, the long one for "make soak",
// which sets ISTHMUS_SOAK=1 in the environment.
func Length[T any](short, long T) T {
	if os.Getenv("ISTHMUS_SOAK") == "1" {
		return long
	}
	return short
}
