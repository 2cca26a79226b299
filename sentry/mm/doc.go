// Package mm is the memory of applications: address spaces made of VMAs, the pages in
// them, faults, copy-on-write, and the Sentry's own access to application memory.
//
// MM is one address space; tasks share it (IncUsers) or get a copy (Fork). A vma is a
// range with one set of permissions and one source (private anonymous memory, or a
// memfile.Mappable). The page table says for each page of the address space whether it
// is a page of the memory file (with a reference), a page of a host file, or nothing
// yet, and whether the platform's AddressSpace has it.
//
// Few, big host mappings: a call into the platform costs more than a host page fault.
// Small mappings get their memory at mmap time in one piece; larger ones at the first
// fault, 64 KiB and then twice as much each time as the pages next to it, or more of the
// mapping, are in use.
// What is allocated is charged. Private file pages are mapped from the host file itself
// until they are written.
//
// While a program is loaded its mappings are collected and made together (loading.go).
// A fork's child is mapped anew into an AddressSpace that the platform has at hand
// (platform.Keeper), with few calls; only one with very many mappings is copied by the
// host. What a process and its children write to after each fork is copied by the fork
// itself (forkmap.go).
//
// Where a system call instruction is hot, the AddressSpace has a copy of its page with a
// jump instead, and the trampoline that this leads to is in no vma (patch.go,
// trampoline.go). The page table keeps the original, which is what everybody else sees.
//
// What the Sentry reads of a host file's pages it reads from the file. Pieces of files that
// nobody changes (memfile.Constant) it keeps (constant.go).
//
// Invariants: a page that is in the AddressSpace has there exactly the permissions that
// asProt says; it is the table's page, or with ptePatched a copy that patches.pages
// holds. A page is unmapped from the AddressSpace before its reference is dropped.
// A page without the COW bit in a private vma is referred to by this MM and by pins only.
//
// Neighbours: platform (AddressSpace), memfile (pages, Mappable, Account), uio.
//
// Lock order (outer first): MM.mu, leaf.mu (one at a time; a second is only tried),
// patches.mu, constants.mu (only tried), then the Mappable's locks, memfile's, the platform's. Extent, AddMapping and RemoveMapping
// are called with MM.mu held and must not call back; Sync and Punch with no lock, but
// with the file held. A Mappable calls MM.Invalidate with none of its locks held.
// FileRefs are released with no lock held, except in a failed Fork, where the parent
// still holds the same files. Two MMs are locked only by Fork, where nobody else knows
// the second.
//
// The kernel's use: a fault event goes to HandleFault; nil means run again, *Fault is a
// signal for the thread, abi.ENOMEM means that the container is out of memory.
package mm
