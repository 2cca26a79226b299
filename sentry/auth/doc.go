// Package auth holds credentials: user and group ids, capability sets and user
// namespaces (credentials(7), capabilities(7), user_namespaces(7)).
//
// Creds are immutable once published: a change makes a copy and swaps the pointer.
// Ids inside the kernel (KUID, KGID) are those of the sandbox's initial user namespace;
// a UserNamespace maps them to what its members see.
package auth
