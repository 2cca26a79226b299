// Package spec reads config.json, checks it, and refuses by name what Lazaret cannot do.
//
// Load bounds and decodes the file; Validate runs a table of checks, each for one field
// of the OCI runtime specification 1.3. An error is one line: the field, what is wrong,
// what to do. What the specification lets a runtime ignore (sections of other operating
// systems, unknown fields) is ignored; what it asks for and we would silently not do is
// refused. Warnings name what is accepted but has no effect on a kernel of our own.
//
// Key types: Warnings, FieldError. Neighbours: runsc/container calls Load; runsc/boot
// gets the validated Spec. There are no locks.
package spec
