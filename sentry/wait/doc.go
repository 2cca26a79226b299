// Package wait holds wait queues: how something that may become ready wakes whoever
// waits for it.
//
// A Queue belongs to the object that changes (a pipe, a socket, a thread group). An
// Entry belongs to the waiter and names, as an interface value, whom to notify; there
// is no channel or closure in either, so that both are data.
//
// Readers of a queue must check the condition after they have added their entry:
// add, check, sleep, check again, remove. Until does that.
//
// Lock order: a Queue's lock is a leaf. Notify is called with it held and must not
// block or take locks above leaves.
package wait
