package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"lazaret/runsc/spec"
)

func (a *app) specCommand() *cobra.Command {
	var bundle string
	var rootless bool
	cmd := &cobra.Command{
		Use: "spec [command options]", Short: "create a new specification file", Args: exactArgs(0),
		Long: `The spec command creates the new specification file named "config.json" for the bundle:
a starter file, to be edited.`,
		RunE: func(*cobra.Command, []string) error {
			s := spec.Example()
			if rootless {
				spec.ToRootless(s, os.Geteuid(), os.Getegid())
			}
			data, err := json.MarshalIndent(s, "", "\t")
			if err != nil {
				return err
			}
			return writeNew(filepath.Join(bundle, spec.ConfigName), data)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&bundle, "bundle", "b", "", "path to the root of the bundle directory")
	f.BoolVar(&rootless, "rootless", false, "generate a configuration for a rootless container")
	return cmd
}

func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		//lint:ignore ST1005 runc's words
		return fmt.Errorf("File %s exists. Remove it first", filepath.Base(path))
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
