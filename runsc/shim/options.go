package shim

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	runtimeoptions "github.com/containerd/containerd/api/types/runtimeoptions/v1"
	"github.com/pelletier/go-toml/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// options are what the file of ConfigPath may say.
type options struct {
	// Binary is runsc's path, or a name that is looked for in PATH.
	Binary string `toml:"binary"`

	// Root is where runsc keeps state, a folder for each of containerd's namespaces.
	Root string `toml:"root"`

	// Flags are runsc's own, by their names.
	Flags map[string]string `toml:"flags"`
}

// optionsName is where they are kept in a bundle, for the delete of a dead shim.
const optionsName = "runsc-options.toml"

func defaultOptions() *options {
	return &options{Binary: "runsc", Root: "/run/containerd/runsc"}
}

// readOptions reads what the engine configured for the runtime. A file that says something
// else than it should is refused: a misspelt flag could be a missing wall.
func readOptions(a *anypb.Any) (*options, error) {
	o := defaultOptions()
	// 1.x prefixes the type with the name of its plugin.
	if a == nil || len(a.Value) == 0 || !strings.HasSuffix(a.TypeUrl, "runtimeoptions.v1.Options") {
		return o, nil
	}
	var ro runtimeoptions.Options
	if err := proto.Unmarshal(a.Value, &ro); err != nil {
		return nil, fmt.Errorf("read the runtime's options: %w", err)
	}
	text := ro.ConfigBody
	name := "the runtime's options"
	if ro.ConfigPath != "" {
		name = ro.ConfigPath
		var err error
		if text, err = os.ReadFile(ro.ConfigPath); err != nil {
			return nil, fmt.Errorf("the runtime's ConfigPath: %w", err)
		}
	}
	return o, o.parse(name, text)
}

func (o *options) parse(name string, text []byte) error {
	dec := toml.NewDecoder(strings.NewReader(string(text)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(o); err != nil {
		return fmt.Errorf("%s: %w; known are binary, root and [flags]", name, err)
	}
	for flag := range o.Flags {
		if strings.HasPrefix(flag, "-") || slices.Contains([]string{"root", "log", "log-format"}, flag) {
			return fmt.Errorf("%s: flags.%s is the shim's to set", name, flag)
		}
	}
	return nil
}

// save keeps the options in the bundle.
func (o *options) save(bundle string) error {
	text, err := toml.Marshal(o)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(bundle, optionsName), text, 0o600)
}

// savedOptions are those that a shim kept, or the defaults.
func savedOptions(bundle string) (*options, error) {
	o := defaultOptions()
	text, err := os.ReadFile(filepath.Join(bundle, optionsName))
	if os.IsNotExist(err) {
		return o, nil
	}
	if err != nil {
		return nil, err
	}
	return o, o.parse(optionsName, text)
}
