package cmd

import (
	"encoding/json"
	"os"
	"runtime"

	"github.com/opencontainers/runtime-spec/specs-go/features"
	"github.com/spf13/cobra"

	"lazaret/runsc/spec"
)

func (a *app) featuresCommand() *cobra.Command {
	return &cobra.Command{
		Use: "features", Short: "show the enabled features", Args: exactArgs(0),
		Long: "Show the enabled features, as JSON (runtime-spec features.md).",
		RunE: func(*cobra.Command, []string) error {
			enc := json.NewEncoder(os.Stdout)
			enc.SetIndent("", "    ")
			return enc.Encode(featureList())
		},
	}
}

func featureList() *features.Features {
	yes, no := true, false
	return &features.Features{
		OCIVersionMin: "1.0.0", OCIVersionMax: spec.MaxVersion,
		Hooks:        []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"},
		MountOptions: spec.MountOptions,
		Linux: &features.Linux{
			Namespaces:   spec.Namespaces,
			Capabilities: spec.Capabilities,
			Cgroup:       &features.Cgroup{V1: &yes, V2: &yes, Systemd: &yes, SystemdUser: &no, Rdma: &no},
			Seccomp: &features.Seccomp{
				Enabled: &yes, Actions: spec.SeccompActions, Operators: spec.SeccompOperators, Archs: spec.SeccompArchs,
				KnownFlags: spec.SeccompFlags, SupportedFlags: spec.SeccompFlags,
			},
			Apparmor: &features.Apparmor{Enabled: &no}, Selinux: &features.Selinux{Enabled: &no},
			IntelRdt:        &features.IntelRdt{Enabled: &no, Schemata: &no, Monitoring: &no},
			MountExtensions: &features.MountExtensions{IDMap: &features.IDMap{Enabled: &no}},
			NetDevices:      &features.NetDevices{Enabled: &no},
		},
		Annotations: map[string]string{
			"dev.lazaret.runsc.version": Version,
			"dev.lazaret.runsc.arch":    runtime.GOARCH,
		},
		PotentiallyUnsafeConfigAnnotations: []string{
			annotationPrefix, "io.kubernetes.cri.container-type", "io.kubernetes.cri.sandbox-id",
			"io.kubernetes.cri-o.ContainerType", "io.kubernetes.cri-o.SandboxID",
		},
	}
}
