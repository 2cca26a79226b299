// Package memfile is the memory that applications see: one host memory file (memfd) a
// sandbox, which the platforms map into application address spaces and the Sentry maps
// into its own. tmpfs, page caches, pipes of pages and anonymous memory are ranges of it.
//
// Every page has a reference count and an owner, the Account that it is charged to.
// Host memory is taken when a page is first touched and given back when its last
// reference goes (small frees are kept a while, dirty, and cleared when they are used
// again: that is cheaper than a host call and two host faults a page).
//
// The file has its full size from the start, sparse, and the Sentry maps all of it once:
// Bytes is a slice expression, takes no lock and never faults. Who frees a page has
// unmapped it from every application before.
//
// Neighbours: mm maps ranges of File, tmpfs allocates them, Mappable is what both meet
// at; Shm is the memory object of anonymous shared mappings and System V segments.
//
// Lock order: Shm.mu, then File.mu. Both come below every lock of mm; a Mappable calls
// Mapper.Invalidate with none of its locks held.
package memfile
