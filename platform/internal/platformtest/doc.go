// Package platformtest holds the test cases that every platform must pass: programs of a
// few instructions, run in address spaces that the tests make.
package platformtest
