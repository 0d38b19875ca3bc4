// Reads a list of YAML scalars, as JSON, and prints what Kubernetes' reader makes of each, as the
// value of a field and as its name.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

// answer is a line of `../splitctl/scalars.json`. A refused value or name is left out.
type answer struct {
	Scalar string          `json:"scalar"`
	Value  json.RawMessage `json:"value,omitempty"`
	Key    *string         `json:"key,omitempty"`
}

func read(scalar string) answer {
	found := answer{Scalar: scalar}
	if document, err := yaml.YAMLToJSON([]byte("a: " + scalar)); err == nil {
		var fields map[string]json.RawMessage
		if json.Unmarshal(document, &fields) == nil {
			found.Value = fields["a"]
		}
	}
	if document, err := yaml.YAMLToJSON([]byte(scalar + ": a")); err == nil {
		var fields map[string]string
		if json.Unmarshal(document, &fields) == nil {
			for name := range fields {
				found.Key = &name
			}
		}
	}
	return found
}

func main() {
	var scalars []string
	if err := json.NewDecoder(os.Stdin).Decode(&scalars); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	output := bufio.NewWriter(os.Stdout)
	defer output.Flush()
	for _, scalar := range scalars {
		line, err := json.Marshal(read(scalar))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Fprintln(output, string(line))
	}
}
