// Package container keeps the containers of a --root directory: their state on disk, their
// life cycle by the OCI runtime specification, hooks, terminals and control groups.
//
// A container is the directory ROOT/ID. It appears complete (made under another name,
// then renamed) and disappears in one step (renamed away, then removed), so that a runsc
// killed at any instruction leaves a container that list shows and delete removes, or
// nothing. state.json in it is replaced atomically and says what to clean up (process ids
// with start times, cgroup directories) before that is made. Commands that change a
// container hold flock on its directory; state, list, ps, events, kill and exec do not,
// because hooks and watchers use them while create or start holds it.
//
// The container's process, in state and pid files, is the Sentry for the first container
// of a sandbox, and a small waiting process of ours (see ProxyMain) for every further
// container and detached exec: engines watch, wait for and signal a host process.
//
// Hooks: prestart, createRuntime and createContainer run when Sentry and Gofer are up and
// confined and before the container is created in the Sentry; the first two in the
// runtime's namespaces, as poststart and poststop. Linux difference: a sandbox has no mount
// namespace that a host program could enter, so createContainer hooks run in new namespaces
// of the container's kinds (or those that the spec names by a path; without root, the
// runtime's), with the bundle as working directory and the container's bind mounts and memory
// file systems below its root directory; what they change in the root directory is the
// container's, mounts that they make are seen neither inside nor on the host. The Gofer's mount
// namespace would not do: it has no program of the host, and nobody else may be in it.
// startContainer hooks are run by the Sentry, inside.
//
// Key types: Store (a --root), Container, CreateOptions, State. Neighbours: runsc/spec,
// runsc/cgroup, runsc/control, runsc/sandbox; runsc/cmd is the only user.
//
// Lock order: one container's directory lock at a time.
package container
