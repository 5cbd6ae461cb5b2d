package meshtest

import "os"

// Soak is whether tests run at full length, as "make soak" has them do: with ISTHMUS_SOAK=1 in the environment.
func Soak() bool { return os.Getenv("ISTHMUS_SOAK") == "1" }

// Length is how long a test shall be, in its own measure: the short form for every run, the long one for "make soak".
func Length[T any](short, long T) T {
	if Soak() {
		return long
	}
	return short
}
