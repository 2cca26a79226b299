// Command standin is a runsc whose Sentry does nothing, or one forbidden thing. It uses
// the real runsc/sandbox for everything else.
package main
