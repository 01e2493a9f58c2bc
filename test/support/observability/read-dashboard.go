// Reads dashboards (files, by their names) by Grafana's own definitions and says what of them Grafana has no word for.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	plugins.RegisterDefaultPlugins()
	failed := false
	for _, name := range os.Args[1:] {
		raw, err := os.ReadFile(name)
		if err == nil {
			var read dashboard.Dashboard
			if err = withoutNothing(read.UnmarshalJSONStrict(raw)); err == nil {
				err = read.Validate()
			}
		}
		if err != nil {
			failed = true
			fmt.Printf("%s: %v\n", name, err)
		}
	}
	if failed {
		os.Exit(1)
	}
}

// A list of no errors comes as an error.
func withoutNothing(err error) error {
	var found cog.BuildErrors
	if errors.As(err, &found) && len(found) == 0 {
		return nil
	}
	return err
}
