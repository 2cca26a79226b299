// Command bench compares runtimes in one run: native, runc, a peer runtime given by path
// and ours, alternating, so that a noisy machine hurts all alike.
//
// Two kinds of work: micro (src/micro.c, a static program that times one kind of
// operation inside the sandbox and prints nanoseconds per operation) and whole commands,
// timed from outside, start and stop of the sandbox included. Every runtime runs the same
// OCI bundle: this machine's root, read-only, with a tmpfs on /tmp; native is the same
// tree entered by chroot.
//
// The measuring is done by a child in mount and pid namespaces of its own, on a tmpfs of
// its own, so that however the bench ends, no mount, file or process is left behind.
//
// The result is a table of medians and ratios to native on standard output, and with
// -json and -svg a machine-readable form and a chart.
package main
