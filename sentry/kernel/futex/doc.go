// Package futex is futex(2): waiting on words of application memory.
//
// A Table holds the waiters of a kernel in hashed buckets. The identity of a word is an
// mm.FutexKey, so that a shared futex is the same in all address spaces. A waiter's place
// is data; it sleeps as a wait.Sleeper, and whoever wakes it takes it out of its bucket.
//
// Priority-inheriting futexes are handed over to the first waiter; priorities are the
// host's affair and are not inherited.
//
// Lock order: buckets by index, then the locks of mm, which are taken while a bucket is
// held so that the check of a word and the sleep are one step.
package futex
