package kernel

import (
	"lazaret/sentry/auth"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// forkMounts copies a mount namespace for CLONE_NEWNS.
//
// TODO: vfs has no copy of mount namespaces yet.
func forkMounts(*Task, *vfs.MountNamespace, *auth.UserNamespace) (*vfs.MountNamespace, error) {
	return nil, abi.EPERM
}

// enterNewMounts moves t's root and working directory, which lie in from's mounts, to the
// same places of a copied namespace.
func (t *Task) enterNewMounts(_ *Task, n *MntNamespace) error { return t.moveToMounts(n.Mounts) }
