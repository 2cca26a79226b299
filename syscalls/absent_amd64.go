package syscalls

import "lazaret/syscalls/abi"

// absentArchRows are the calls that fail for every argument and that only amd64 has.
var absentArchRows = []Row{
	absent(abi.SYS_IOPL, "iopl", abi.EPERM, whyHost),
	absent(abi.SYS_IOPERM, "ioperm", abi.EPERM, whyHost),
	absent(abi.SYS_MODIFY_LDT, "modify_ldt", abi.ENOSYS, "no 16-bit or 32-bit segments"),
	absent(abi.SYS_SET_THREAD_AREA, "set_thread_area", abi.ENOSYS, "of 32-bit programs"),
	absent(abi.SYS_GET_THREAD_AREA, "get_thread_area", abi.ENOSYS, "of 32-bit programs"),
	absent(abi.SYS_USTAT, "ustat", abi.ENOSYS, "deprecated; statfs does the same"),
	absent(abi.SYS_SYSFS, "sysfs", abi.ENOSYS, "deprecated; programs read /proc/filesystems"),
	absent(abi.SYS_USELIB, "uselib", abi.ENOSYS, whyOld),
	absent(abi.SYS__SYSCTL, "_sysctl", abi.ENOSYS, whyOld),
	absent(abi.SYS_CREATE_MODULE, "create_module", abi.ENOSYS, whyOld),
	absent(abi.SYS_GET_KERNEL_SYMS, "get_kernel_syms", abi.ENOSYS, whyOld),
	absent(abi.SYS_QUERY_MODULE, "query_module", abi.ENOSYS, whyOld),
	absent(abi.SYS_EPOLL_CTL_OLD, "epoll_ctl_old", abi.ENOSYS, whyOld),
	absent(abi.SYS_EPOLL_WAIT_OLD, "epoll_wait_old", abi.ENOSYS, whyOld),
	absent(abi.SYS_GETPMSG, "getpmsg", abi.ENOSYS, "never implemented by Linux"),
	absent(abi.SYS_PUTPMSG, "putpmsg", abi.ENOSYS, "never implemented by Linux"),
	absent(abi.SYS_AFS_SYSCALL, "afs_syscall", abi.ENOSYS, "never implemented by Linux"),
	absent(abi.SYS_TUXCALL, "tuxcall", abi.ENOSYS, "never implemented by Linux"),
	absent(abi.SYS_SECURITY, "security", abi.ENOSYS, "never implemented by Linux"),
	absent(abi.SYS_VSERVER, "vserver", abi.ENOSYS, "never implemented by Linux"),
}
