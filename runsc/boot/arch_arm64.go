package boot

import "lazaret/syscalls/abi"

const auditArch = abi.AUDIT_ARCH_AARCH64
