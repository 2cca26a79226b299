package syscalls

const unameMachine = "x86_64"
