package cli

import "path/filepath"

// folder is where a program keeps its data: the one given, else its own in the user's home.
func (c *CLI) folder(given, program string) string {
	if given != "" {
		return given
	}
	return filepath.Join(home(c.hub.environ), ".isthmus", program)
}
