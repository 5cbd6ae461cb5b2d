package cli

import (
	"encoding/json"
	"io"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// output is the flag -o of commands that print data.
type output string

func (o *output) addTo(command *cobra.Command) {
	command.Flags().VarP(o, "output", "o", "print data: json or yaml; default: words")
}

// Set accepts json and yaml.
func (o *output) Set(text string) error {
	if text != "json" && text != "yaml" {
		return usage("want json or yaml")
	}
	*o = output(text)
	return nil
}

// String is the form chosen, empty for words.
func (o *output) String() string { return string(*o) }

// Type is shown in the help.
func (o *output) Type() string { return "form" }

// print writes data in the form chosen, or calls words.
func (o output) print(w io.Writer, data any, words func(io.Writer) error) error {
	switch o {
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(data)
	case "yaml":
		text, err := yaml.Marshal(data)
		if err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	}
	return words(w)
}
