package abi

// SCM_CREDENTIALS is the ancillary message with a struct ucred (unix(7)).
const SCM_CREDENTIALS = 2

// SockaddrMax is sizeof(struct sockaddr_storage), the longest address.
const SockaddrMax = 128
