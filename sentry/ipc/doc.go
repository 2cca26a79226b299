// Package ipc implements System V shared memory, semaphores and message queues (sysvipc(7))
// and POSIX message queues (mq_overview(7)) of an ipc namespace.
//
// Shared memory is memfile.Shm, mapped by mm; semaphores and queues keep plain data and
// wait queues. Blocking calls sleep on the caller's vfs.Context.Sleeper.
//
// Structures for applications are encoded here (Encode methods), with ids as the user
// namespace given sees them and process ids as they were stored.
//
// Lock order: registry.mu, then the mutex of one object; mqueue root; wait queues last.
package ipc
