// Package machine holds what platforms share about the processor's state: which register
// values the host accepts, and the format of the vector state.
package machine
