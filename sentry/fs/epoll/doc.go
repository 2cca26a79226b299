// Package epoll implements epoll(7) for everything that is a vfs.Poller.
//
// An Epoll has an item for each (open file, descriptor) that was added. The item stands
// in the file's wait queue; a notification puts it into the ready list, from which Wait
// takes in turn. Wait costs what is ready, not what is watched.
//
// Items do not keep files open. An item whose file has been closed reports nothing and is
// taken out when it is met, or by a sweep when the set grows.
//
// Lock order: topology (the nesting of epolls), Epoll.mu of the outer, Epoll.mu of the
// inner, locks of the polled file, wait queue of the polled file, Epoll.readyMu, wait queue
// of the Epoll. An item is notified under a wait queue's lock, hence readyMu is below it.
package epoll
