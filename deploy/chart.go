package deploy

import (
	"embed"
	"io/fs"
	"strings"

	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
)

//go:embed all:edge
var files embed.FS

// load reads the edge's chart. A version, if given, becomes the chart's appVersion and so the default tag of the image.
func load(version string) (*chart.Chart, error) {
	buffered, err := readChart()
	if err != nil {
		return nil, err
	}
	c, err := loader.LoadFiles(buffered)
	if err == nil && version != "" {
		c.Metadata.AppVersion = version
	}
	return c, err
}

func readChart() (all []*archive.BufferedFile, err error) {
	err = fs.WalkDir(files, "edge", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := files.ReadFile(path)
		all = append(all, &archive.BufferedFile{Name: strings.TrimPrefix(path, "edge/"), Data: data})
		return err
	})
	return all, err
}
