// Package confine holds the end-to-end tests of the confinement of Sentry and Gofer:
// from outside, what the host shows of the live processes; from inside, a stand-in for a
// compromised Sentry that runs under the same confinement and tries to get out; and
// kills at every stage, after which nothing may be left.
//
// The stand-in (folder standin) is built without cgo by the tests. Root is needed.
package confine
