// Package engines drives containers as their engines do: Podman, Docker and containerd,
// with ctr and with its CRI plugin, the real ones of Debian's packages. A case runs once
// with runc and once with runsc, and what it shows must be equal: an engine must not know
// the difference.
//
// All of it happens in namespaces of its own (main_test.go): the test binary runs again as
// process 1 of new pid, mount and network namespaces with private tmpfs over /run and the
// engines' folders, so that daemons, shims, mounts and interfaces end with it, however it
// ends. Control groups are made beneath one group, which is removed afterwards.
//
// testdata/cases.txt are scripts for Docker and Podman. known-failures.txt names what
// differs today (case, reason); a case that is listed there and passes fails the test.
package engines
