package abi

// NS_GET_OWNER_UID is the request of ioctl_ns(2) that the generated file lacks.
const NS_GET_OWNER_UID = 0xb704
