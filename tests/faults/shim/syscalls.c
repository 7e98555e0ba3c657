/* Ends a process, or fails one of its calls, at the n-th system call that changes a file below a folder.

A filter of the kernel (seccomp) turns each such call into a signal, whose handler looks at it and then makes it, fails it,
or dies. So the calls of all libraries are seen, those inside the C library too, which a preloaded library is not asked
about; and the filter is put on within a process that was forked, so that nothing is imported again for each number. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum kind { OPEN, WRITE, NAME, FLUSH };          /* what a call does; which errors it can have */
enum place { AT_PATH, AT_FOLDER, AT_FILE, AT_TWO, AT_TWO_FOLDERS, AT_LINK, AT_FOLDER_LINK };

struct call {
    int number;
    const char *name;
    enum kind kind;
    enum place place;   /* where its arguments say which file it is about */
};

static const struct call calls[] = {
    {SYS_open, "open", OPEN, AT_PATH},
    {SYS_creat, "creat", OPEN, AT_PATH},
    {SYS_openat, "openat", OPEN, AT_FOLDER},
    {SYS_write, "write", WRITE, AT_FILE},
    {SYS_pwrite64, "pwrite", WRITE, AT_FILE},
    {SYS_writev, "writev", WRITE, AT_FILE},
    {SYS_pwritev, "pwritev", WRITE, AT_FILE},
    {SYS_sendfile, "sendfile", WRITE, AT_FILE},
    {SYS_ftruncate, "ftruncate", WRITE, AT_FILE},
    {SYS_truncate, "truncate", WRITE, AT_PATH},
    {SYS_fallocate, "fallocate", WRITE, AT_FILE},
    {SYS_rename, "rename", NAME, AT_TWO},
    {SYS_renameat, "renameat", NAME, AT_TWO_FOLDERS},
    {SYS_renameat2, "renameat2", NAME, AT_TWO_FOLDERS},
    {SYS_link, "link", NAME, AT_TWO},
    {SYS_linkat, "linkat", NAME, AT_TWO_FOLDERS},
    {SYS_symlink, "symlink", NAME, AT_LINK},
    {SYS_symlinkat, "symlinkat", NAME, AT_FOLDER_LINK},
    {SYS_unlink, "unlink", NAME, AT_PATH},
    {SYS_unlinkat, "unlinkat", NAME, AT_FOLDER},
    {SYS_rmdir, "rmdir", NAME, AT_PATH},
    {SYS_mkdir, "mkdir", NAME, AT_PATH},
    {SYS_mkdirat, "mkdirat", NAME, AT_FOLDER},
    {SYS_fsync, "fsync", FLUSH, AT_FILE},
    {SYS_fdatasync, "fdatasync", FLUSH, AT_FILE},
};
#define CALLS (int)(sizeof calls / sizeof calls[0])

static char watched[PATH_MAX];
static long target, last, done;
static int failure, log_file = -1;

/* The one place whose system calls the filter lets through: those of the handler itself. */
long pass(long number, long a, long b, long c, long d, long e, long f);
extern char pass_end[];
__asm__(".text\n.globl pass\npass:\n"
        "mov %rdi, %rax\nmov %rsi, %rdi\nmov %rdx, %rsi\nmov %rcx, %rdx\nmov %r8, %r10\nmov %r9, %r8\nmov 8(%rsp), %r9\n"
        "syscall\n.globl pass_end\npass_end:\nret\n");

static void resolve(char *out, long folder, const char *path)
{
    char link[64];
    out[0] = 0;
    if (path != NULL && path[0] == '/') {
        snprintf(out, PATH_MAX, "%s", path);
        return;
    }
    if ((int)folder == AT_FDCWD)
        snprintf(link, sizeof link, "/proc/self/cwd");
    else
        snprintf(link, sizeof link, "/proc/self/fd/%d", (int)folder);
    long size = pass(SYS_readlink, (long)link, (long)out, PATH_MAX - 1, 0, 0, 0);
    if (size < 0)
        size = 0;
    out[size] = 0;
    if (path != NULL)
        snprintf(out + size, (size_t)(PATH_MAX - size), "/%s", path);
}

static int is_watched(const char *path)
{
    return strncmp(path, watched, strlen(watched)) == 0;
}

/* Whether a call is counted; `out` becomes the file that it is about. */
static int is_counted(const struct call *call, const long *a, char *out)
{
    long flags = call->number == SYS_open ? a[1] : call->number == SYS_openat ? a[2] : O_WRONLY;
    if (call->kind == OPEN && !(flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)))
        return 0;
    switch (call->place) {
    case AT_PATH: resolve(out, AT_FDCWD, (const char *)a[0]); break;
    case AT_FOLDER: resolve(out, a[0], (const char *)a[1]); break;
    case AT_FILE: resolve(out, a[0], NULL); break;
    case AT_TWO: resolve(out, AT_FDCWD, (const char *)a[1]); break;
    case AT_TWO_FOLDERS: resolve(out, a[2], (const char *)a[3]); break;
    case AT_LINK: resolve(out, AT_FDCWD, (const char *)a[1]); break;
    case AT_FOLDER_LINK: resolve(out, a[1], (const char *)a[2]); break;
    }
    return is_watched(out);
}

/* Whether a call of this kind can have this error. */
static int can_fail(enum kind kind)
{
    if (failure == EMFILE)
        return kind == OPEN;
    if (failure == EACCES)
        return kind == OPEN || kind == NAME;
    return 1;
}

static void handle(int number, siginfo_t *info, void *given)
{
    (void)number;
    ucontext_t *context = given;
    greg_t *r = context->uc_mcontext.gregs;
    long a[6] = {r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8], r[REG_R9]};
    char path[PATH_MAX], line[PATH_MAX + 64];
    const struct call *call = NULL;
    for (int i = 0; i < CALLS; i++)
        if (calls[i].number == info->si_syscall)
            call = &calls[i];
    if (call != NULL && is_counted(call, a, path) && (failure <= 0 || can_fail(call->kind))) {
        long n = __atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST);
        if (log_file >= 0) {
            int size = snprintf(line, sizeof line, "%ld %s %s\n", n, call->name, path);
            pass(SYS_write, log_file, (long)line, size, 0, 0, 0);
        }
        if (target > 0 && n >= target && n <= last) {
            if (failure <= 0)
                pass(SYS_kill, pass(SYS_getpid, 0, 0, 0, 0, 0, 0), failure ? SIGSTOP : SIGKILL, 0, 0, 0, 0);
            if (failure >= 0) {
                r[REG_RAX] = -failure;
                return;
            }
        }
    }
    r[REG_RAX] = pass(info->si_syscall, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* Begin: count calls about files whose paths begin with `folder`; at the number `first` die, or, with an `error`, fail it
and those up to the number `until`; with the error -1 stop before each of them, until a parent says to go on. `log` is a
descriptor to which each call is written, or -1. Returns 0 or -errno. */
int arm(const char *folder, long first, long until, int error, int log)
{
    struct sock_filter filter[CALLS + 12];
    int n = 0;
    unsigned long end = (unsigned long)pass_end;
    snprintf(watched, sizeof watched, "%s", folder);
    target = first, last = until, failure = error, log_file = log, done = 0;

    struct sigaction action = {0};
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO;
    if (sigaction(SIGSYS, &action, NULL))
        return -errno;

    filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer));
    filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)end, 0, 3);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4);
    filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)(end >> 32), 0, 1);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < CALLS; i++)
        filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i].number, CALLS - i, 0);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);

    struct sock_fprog program = {(unsigned short)n, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return -errno;
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program))
        return -errno;
    return 0;
}

long counted(void)
{
    return done;
}
