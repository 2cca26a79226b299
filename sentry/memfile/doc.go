// Package memfile is the memory that applications see: one host memory file (memfd) a
// sandbox, which the platforms map into application address spaces and the Sentry maps
// into its own. tmpfs, page caches, pipes of pages and anonymous memory are ranges of it.
//
// Every page has a reference count and an owner, the Account that it is charged to.
// Host memory is taken when a page is first touched and given back when its last
// reference goes.
package memfile
