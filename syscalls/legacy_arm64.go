package syscalls

// legacyRows are the calls that only amd64 has.
var legacyRows []Row
