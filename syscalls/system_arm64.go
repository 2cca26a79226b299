package syscalls

const unameMachine = "aarch64"
