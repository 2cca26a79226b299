// Package timeline records what a start and an end of a sandbox spend their time on, over
// all of its processes: each writes a line with its name, what it has just reached and
// the monotonic clock to one file, which runsc turns into a table (--trace-startup).
package timeline
