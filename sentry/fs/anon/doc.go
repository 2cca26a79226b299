// Package anon holds files without a name that carry events: eventfd(2), timerfd and
// signalfd. All are read as numbers or structures and can be polled.
//
// Time and signals belong to the kernel: Timers and SignalSource are what it provides.
//
// Lock order: a file's mu, then Timer methods; Expire comes without any lock of the timer.
package anon
