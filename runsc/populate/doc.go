// Package populate has the kernel map what a start of runsc is going to touch, with a call for
// each area instead of a fault for each page.
//
// A sandbox's three processes take a thousand faults each between execve and their first
// request, most of them in the text and in the heap's first megabytes. Where page
// tables are the hypervisor's to keep, as in a virtual machine without nested paging, a fault
// costs 15 us, a page that is mapped with its neighbours 3.
//
// It asks for what is touched anyway: the text and the read-only data, which are shared, and
// the heap's beginning, of which an idle sandbox holds the most part. Not for variables: half
// of their pages are never touched.
//
// The package imports nothing, so that its init comes before that of nearly all others: Go
// initializes what is ready by import path. A kernel that does not know the call (before
// 5.14) leaves everything as it was.
package populate
