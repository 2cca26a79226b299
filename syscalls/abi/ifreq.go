package abi

// IFNAMSIZ is the room for the name of a network interface, with its NUL (linux/if.h).
const IFNAMSIZ = 16
