package proc

const machine = "aarch64"
