package main

// archAttempts are attempts with calls that this architecture alone has.
func archAttempts() map[string]sysCall { return nil }
