package boot

import "lazaret/syscalls/abi"

const auditArch = abi.AUDIT_ARCH_X86_64
