package syscalls

// absentArchRows are the calls that fail for every argument and that only amd64 has.
var absentArchRows []Row
