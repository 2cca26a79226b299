package syscalls

import "lazaret/syscalls/abi"

// Reasons for calls that are absent.
const (
	whyHost     = "would change the machine"
	whyOld      = "removed from Linux"
	whyOptional = "an optional part of Linux that programs do without"
	whyDocker   = "refused as by Docker's default filter"
	whyAsync    = "programs fall back to threads or readiness"
)

// absentRows are the calls that fail for every argument on all architectures.
var absentRows = []Row{
	absent(abi.SYS_RSEQ, "rseq", abi.ENOSYS, "restartable sequences need the processor's scheduler; libraries do without"),
	absent(abi.SYS_IO_SETUP, "io_setup", abi.ENOSYS, whyAsync),
	absent(abi.SYS_IO_DESTROY, "io_destroy", abi.ENOSYS, whyAsync),
	absent(abi.SYS_IO_SUBMIT, "io_submit", abi.ENOSYS, whyAsync),
	absent(abi.SYS_IO_CANCEL, "io_cancel", abi.ENOSYS, whyAsync),
	absent(abi.SYS_IO_GETEVENTS, "io_getevents", abi.ENOSYS, whyAsync),
	absent(abi.SYS_IO_PGETEVENTS, "io_pgetevents", abi.ENOSYS, whyAsync),
	absent(abi.SYS_IO_URING_SETUP, "io_uring_setup", abi.ENOSYS, whyAsync),
	absent(abi.SYS_IO_URING_ENTER, "io_uring_enter", abi.ENOSYS, whyAsync),
	absent(abi.SYS_IO_URING_REGISTER, "io_uring_register", abi.ENOSYS, whyAsync),
	absent(abi.SYS_PERF_EVENT_OPEN, "perf_event_open", abi.EPERM, whyDocker),
	absent(abi.SYS_BPF, "bpf", abi.EPERM, whyDocker),
	absent(abi.SYS_USERFAULTFD, "userfaultfd", abi.EPERM, whyDocker),
	absent(abi.SYS_ADD_KEY, "add_key", abi.ENOSYS, "no kernel keyrings"),
	absent(abi.SYS_REQUEST_KEY, "request_key", abi.ENOSYS, "no kernel keyrings"),
	absent(abi.SYS_KEYCTL, "keyctl", abi.ENOSYS, "no kernel keyrings"),
	absent(abi.SYS_FANOTIFY_INIT, "fanotify_init", abi.ENOSYS, whyOptional),
	absent(abi.SYS_FANOTIFY_MARK, "fanotify_mark", abi.ENOSYS, whyOptional),
	absent(abi.SYS_LANDLOCK_CREATE_RULESET, "landlock_create_ruleset", abi.ENOSYS, whyOptional),
	absent(abi.SYS_LANDLOCK_ADD_RULE, "landlock_add_rule", abi.ENOSYS, whyOptional),
	absent(abi.SYS_LANDLOCK_RESTRICT_SELF, "landlock_restrict_self", abi.ENOSYS, whyOptional),
	absent(abi.SYS_LSM_GET_SELF_ATTR, "lsm_get_self_attr", abi.ENOSYS, "no security modules"),
	absent(abi.SYS_LSM_SET_SELF_ATTR, "lsm_set_self_attr", abi.ENOSYS, "no security modules"),
	absent(abi.SYS_LSM_LIST_MODULES, "lsm_list_modules", abi.ENOSYS, "no security modules"),
	absent(abi.SYS_MEMFD_SECRET, "memfd_secret", abi.ENOSYS, "the Sentry could read it"),
	absent(abi.SYS_CACHESTAT, "cachestat", abi.ENOSYS, "the page cache is the host's"),
	absent(abi.SYS_MSEAL, "mseal", abi.ENOSYS, whyOptional),
	absent(abi.SYS_STATMOUNT, "statmount", abi.ENOSYS, "programs read /proc/self/mountinfo"),
	absent(abi.SYS_LISTMOUNT, "listmount", abi.ENOSYS, "programs read /proc/self/mountinfo"),
	absent(abi.SYS_MAP_SHADOW_STACK, "map_shadow_stack", abi.ENOSYS, "no shadow stacks"),
	absent(abi.SYS_NAME_TO_HANDLE_AT, "name_to_handle_at", abi.EOPNOTSUPP, "files have no handles"),
	absent(abi.SYS_OPEN_BY_HANDLE_AT, "open_by_handle_at", abi.EPERM, whyDocker),
	absent(abi.SYS_QUOTACTL, "quotactl", abi.EPERM, whyDocker),
	absent(abi.SYS_QUOTACTL_FD, "quotactl_fd", abi.EPERM, whyDocker),
	absent(abi.SYS_ACCT, "acct", abi.EPERM, whyDocker),
	absent(abi.SYS_SWAPON, "swapon", abi.EPERM, whyHost),
	absent(abi.SYS_SWAPOFF, "swapoff", abi.EPERM, whyHost),
	absent(abi.SYS_REBOOT, "reboot", abi.EPERM, whyHost),
	absent(abi.SYS_KEXEC_LOAD, "kexec_load", abi.EPERM, whyHost),
	absent(abi.SYS_KEXEC_FILE_LOAD, "kexec_file_load", abi.EPERM, whyHost),
	absent(abi.SYS_INIT_MODULE, "init_module", abi.EPERM, whyHost),
	absent(abi.SYS_FINIT_MODULE, "finit_module", abi.EPERM, whyHost),
	absent(abi.SYS_DELETE_MODULE, "delete_module", abi.EPERM, whyHost),
	absent(abi.SYS_VHANGUP, "vhangup", abi.EPERM, whyDocker),
	absent(abi.SYS_REMAP_FILE_PAGES, "remap_file_pages", abi.ENOSYS, "deprecated; mmap does the same"),
	absent(abi.SYS_LOOKUP_DCOOKIE, "lookup_dcookie", abi.ENOSYS, whyOld),
	absent(abi.SYS_NFSSERVCTL, "nfsservctl", abi.ENOSYS, whyOld),
}
