"""What only Unix has, found in modules where nothing guards it, and texts read in an encoding of the machine."""

import ast
import re
from collections.abc import Iterator

_MODULES = "crypt curses fcntl grp nis posix pty pwd readline resource spwd syslog termios tty"
_NAMES = """
os: O_ASYNC O_CLOEXEC O_DIRECT O_DIRECTORY O_DSYNC O_NDELAY O_NOATIME O_NOCTTY O_NOFOLLOW O_NONBLOCK O_PATH
O_RSYNC O_SYNC O_TMPFILE WNOHANG chown chroot confstr copy_file_range ctermid eventfd fchdir fchmod fchown
fork forkpty fpathconf fstatvfs getegid geteuid getgid getgroups getloadavg getpgid getpgrp getpriority
getrandom getresgid getresuid getsid getuid getxattr initgroups killpg lchown link listxattr lockf login_tty
major makedev memfd_create minor mkfifo mknod nice openpty pathconf pidfd_open pipe2 posix_fadvise
posix_fallocate posix_spawn pread preadv pwrite pwritev register_at_fork removexattr sched_getaffinity
sched_setaffinity sched_yield sendfile setgid setpgid setpriority setsid setuid setxattr splice statvfs sync
sysconf tcgetpgrp tcsetpgrp ttyname uname wait wait3 wait4 waitid
signal: SIGALRM SIGBUS SIGCHLD SIGCONT SIGHUP SIGIO SIGKILL SIGPIPE SIGPROF SIGQUIT SIGSTOP SIGTSTP SIGTTIN
SIGTTOU SIGURG SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU SIGXFSZ alarm getitimer pause pthread_kill
pthread_sigmask setitimer siginterrupt sigpending sigtimedwait sigwait sigwaitinfo
mmap: MADV_DONTNEED MADV_HUGEPAGE MADV_NORMAL MADV_RANDOM MADV_SEQUENTIAL MADV_WILLNEED MAP_ANON MAP_ANONYMOUS
MAP_DENYWRITE MAP_EXECUTABLE MAP_POPULATE MAP_PRIVATE MAP_SHARED PROT_EXEC PROT_READ PROT_WRITE
select: devpoll epoll kqueue poll
socket: AF_UNIX recv_fds send_fds socketpair
time: CLOCK_MONOTONIC CLOCK_REALTIME clock_gettime clock_settime pthread_getcpuclockid tzset
"""
MODULES = frozenset(_MODULES.split())
"""Modules of the standard library that Windows lacks."""
NAMES = {
    module: frozenset(names.split())
    for module, names in re.findall(r"^(\w+):((?: \w+|\n(?!\w+:)\w+)+)", _NAMES, re.MULTILINE)
}
"""Names that Windows lacks in modules that it has; `os.link` it has, but not as Unix does."""
GUARDS = ("WINDOWS", "os.name", "sys.platform", "hasattr(")
"""Words of a condition that asks for the system."""


def find_faults(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and name of what only Unix has, outside of a guard; and of texts read without a word on their encoding.

    A guard is a `try` that catches the error of its absence, an `if` that asks for the system, or such an `if` before it
    in the same function that leaves the function.
    """
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and reads_text(node) and not node.args:
            yield node.lineno, "read_text without an encoding"
        for name in find_names(node):
            if not is_guarded(node, parents):
                yield node.lineno, name


def reads_text(call: ast.Call) -> bool:
    """Whether a call is of read_text, without a keyword for the encoding."""
    is_method = isinstance(call.func, ast.Attribute) and call.func.attr == "read_text"
    return is_method and not any(keyword.arg == "encoding" for keyword in call.keywords)


def find_names(node: ast.AST) -> Iterator[str]:
    """Names that a node takes and Windows lacks."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in MODULES)
    elif isinstance(node, ast.ImportFrom) and node.module:
        lacking = NAMES.get(node.module, frozenset())
        yield from (node.module,) if node.module in MODULES else ()
        yield from (f"{node.module}.{alias.name}" for alias in node.names if alias.name in lacking)
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        module = node.value.id
        yield from (f"{module}.{node.attr}",) if node.attr in NAMES.get(module, ()) else ()


def is_guarded(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    """Whether the absence of what a node takes is provided for."""
    while node in parents:
        child, node = node, parents[node]
        if isinstance(node, ast.Try) and child in node.body and any(map(catches_absence, node.handlers)):
            return True
        if isinstance(node, ast.If) and asks_for_system(node.test):
            return True
        if isinstance(node, ast.FunctionDef) and child in node.body:
            before = node.body[: node.body.index(child)]
            if any(isinstance(s, ast.If) and asks_for_system(s.test) and leaves(s.body) for s in before):
                return True
    return False


def catches_absence(handler: ast.ExceptHandler) -> bool:
    return handler.type is not None and any(
        word in ast.unparse(handler.type) for word in ("ImportError", "AttributeError")
    )


def asks_for_system(test: ast.expr) -> bool:
    return any(guard in ast.unparse(test) for guard in GUARDS)


def leaves(body: list[ast.stmt]) -> bool:
    return isinstance(body[-1], ast.Return | ast.Raise)
