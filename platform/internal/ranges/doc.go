// Package ranges keeps sets of address ranges.
package ranges
