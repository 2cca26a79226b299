package shim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/containerd/containerd/api/types"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// featuresURL is the name by which containerd knows the JSON of the features document.
const featuresURL = "types.containerd.io/opencontainers/runtime-spec/1/features/Features"

// info prints what the runtime can do: containerd 2 asks so, with the runtime's options on
// standard input, before it offers recursive read-only mounts and such to Kubernetes.
func info(in io.Reader, out io.Writer) error {
	raw, err := io.ReadAll(io.LimitReader(in, 1<<20))
	if err != nil {
		return fmt.Errorf("read the runtime's options: %w", err)
	}
	var a anypb.Any
	if err := proto.Unmarshal(raw, &a); err != nil {
		return fmt.Errorf("read the runtime's options: %w", err)
	}
	opts, err := readOptions(&a)
	if err != nil {
		return err
	}
	cmd := exec.Command(opts.Binary, "features")
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("run %s features: %w", opts.Binary, err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return fmt.Errorf("%s features: %w", opts.Binary, err)
	}
	data, err := proto.Marshal(&types.RuntimeInfo{
		Name: "io.containerd.runsc.v1", Version: &types.RuntimeVersion{Version: Version}, Options: &a,
		Features: &anypb.Any{TypeUrl: featuresURL, Value: compact.Bytes()},
	})
	if err == nil {
		_, err = out.Write(data)
	}
	return err
}
