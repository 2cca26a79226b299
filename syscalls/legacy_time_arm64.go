package syscalls

// legacyTimeRows are more of the calls that only amd64 has.
var legacyTimeRows []Row
