package proc

const machine = "x86_64"
