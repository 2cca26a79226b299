// Package pipe implements pipes and FIFOs (pipe(7), fifo(7)) and the moves of splice(2),
// tee(2) and vmsplice(2).
//
// A Pipe is a ring of slots, each a part of a page, as Linux has it: how much fits into
// a pipe, what a packet is and when POLLOUT is true follow from counting slots. Pages
// are charged to the account of the writer.
//
// Pipe state does not sleep; Read and Write return abi.EAGAIN. Write returns a part when
// only that fits: the system call layer goes on with the rest unless the file is
// O_NONBLOCK. A write of at most PIPE_BUF bytes is never split.
//
// Lock order: readMu (who consumes), writeMu (who produces), mu (the ring). Between two
// pipes: any readMu before any writeMu. mu is held over copies from and to uio.Bufs,
// never over another file's I/O; readMu and writeMu may be.
package pipe
