package main

import (
	"encoding/json"
	"errors"
	"io"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// output is the flag -o of commands that print data.
type output string

func (o *output) addTo(set *pflag.FlagSet) {
	set.VarP(o, "output", "o", "print data: json or yaml; default: words")
}

// Set accepts json and yaml.
func (o *output) Set(text string) error {
	if text != "json" && text != "yaml" {
		return errors.New("want json or yaml")
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
		return writeYAML(w, data)
	}
	return words(w)
}

// writeYAML writes data with the names it has in JSON.
func writeYAML(w io.Writer, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	var fields any
	if err := yaml.Unmarshal(text, &fields); err != nil { // JSON is YAML
		return err
	}
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	return errors.Join(encoder.Encode(fields), encoder.Close())
}
