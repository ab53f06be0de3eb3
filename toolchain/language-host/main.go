// pulumi-language-nodejs for machines that cannot download the official one. The host that the Go module proxy still has
// takes the project's runtime options as flags, as engines once gave them; today's engine does not, and the options would be
// lost. So this reads them from Pulumi.yaml and becomes that host.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"gopkg.in/yaml.v3"
)

const host = "pulumi-language-nodejs-host"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "pulumi-language-nodejs:", err)
		os.Exit(1)
	}
}

func run() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	self, err = filepath.EvalSymlinks(self)
	if err != nil {
		return err
	}
	flags, err := runtimeFlags()
	if err != nil {
		return err
	}
	path := filepath.Join(filepath.Dir(self), host)
	arguments := append(append([]string{path}, flags...), os.Args[1:]...)
	return syscall.Exec(path, arguments, os.Environ())
}

// The flags for the project in or above the working directory; none without a project, or for `runtime: nodejs`.
func runtimeFlags() ([]string, error) {
	text, err := projectFile()
	if text == nil || err != nil {
		return nil, err
	}
	var project struct {
		Runtime yaml.Node `yaml:"runtime"`
	}
	if err := yaml.Unmarshal(text, &project); err != nil {
		return nil, err
	}
	var runtime struct {
		Options struct {
			TypeScript *bool  `yaml:"typescript"`
			NodeArgs   string `yaml:"nodeargs"`
			TSConfig   string `yaml:"tsconfig"`
		} `yaml:"options"`
	}
	if project.Runtime.Kind == yaml.MappingNode {
		if err := project.Runtime.Decode(&runtime); err != nil {
			return nil, err
		}
	}
	var flags []string
	if runtime.Options.TypeScript != nil {
		flags = append(flags, fmt.Sprintf("-typescript=%t", *runtime.Options.TypeScript))
	}
	if runtime.Options.NodeArgs != "" {
		flags = append(flags, "-nodeargs="+runtime.Options.NodeArgs)
	}
	if runtime.Options.TSConfig != "" {
		flags = append(flags, "-tsconfig="+runtime.Options.TSConfig)
	}
	return flags, nil
}

func projectFile() ([]byte, error) {
	folder, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	for {
		for _, name := range []string{"Pulumi.yaml", "Pulumi.yml"} {
			text, err := os.ReadFile(filepath.Join(folder, name))
			if err == nil || !os.IsNotExist(err) {
				return text, err
			}
		}
		if folder == filepath.Dir(folder) {
			return nil, nil
		}
		folder = filepath.Dir(folder)
	}
}
