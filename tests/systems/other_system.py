"""Runs a program as on macOS or Windows: ``python -m tests.systems.other_system win32 MODULE ...``.

What Linux alone has is taken away before anything of this project is imported: modules, names,
files of ``/proc`` and ``/dev``, and the sockets that ask the kernel. The standard library and the
servers stay as they are here: they have their own tests on those systems.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import runpy
import select
import signal
import socket
import ssl
import sys
from typing import Any

#: What is imported while the system is still Linux, as it looks at the system at its import.
_IMPORTED_BEFORE = "ctypes httpcore httpx multiprocessing rich.console subprocess uvicorn"

#: Modules that a system does not have. uvloop has no wheels for Windows.
_MODULES = {
    "darwin": "",
    "win32": "fcntl grp pwd resource termios tty uvloop",
}

#: Names that a system does not have.
_NAMES: dict[Any, dict[str, str]] = {
    os: {
        "darwin": "copy_file_range eventfd memfd_create pidfd_open pipe2 posix_fadvise "
        "sched_getaffinity splice O_TMPFILE",
        "win32": "chown copy_file_range environb eventfd fchmod fchown fork forkpty getegid "
        "geteuid getgid getloadavg getpgid getuid initgroups killpg memfd_create mkfifo "
        "pidfd_open pipe2 posix_fadvise posix_fallocate pread pwrite register_at_fork "
        "sched_getaffinity sendfile set_blocking setgid setsid setuid splice statvfs sysconf "
        "uname O_CLOEXEC O_DIRECTORY O_NOCTTY O_NOFOLLOW O_NONBLOCK O_TMPFILE WNOHANG",
    },
    select: {"darwin": "epoll", "win32": "epoll poll"},
    signal: {
        "darwin": "pidfd_send_signal",
        "win32": "pidfd_send_signal pthread_kill pthread_sigmask setitimer siginterrupt sigwait "
        "SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGQUIT SIGUSR1 SIGUSR2",
    },
    socket: {
        "darwin": "AF_NETLINK SOCK_CLOEXEC SOCK_NONBLOCK TCP_CORK TCP_INFO TCP_USER_TIMEOUT",
        "win32": "AF_NETLINK SOCK_CLOEXEC SOCK_NONBLOCK SO_REUSEPORT TCP_CORK TCP_INFO "
        "TCP_USER_TIMEOUT",
    },
}

#: Linux's number of the sockets that ask the kernel (linux/socket.h).
_AF_NETLINK = 16

#: Linux's number of the question for unacknowledged bytes (asm-generic/ioctls.h). On macOS it is
#: for terminals alone.
_TIOCOUTQ = 0x5411

#: Where Linux has files that are none.
_FILES = ("/proc/", "/sys/", "/dev/shm")


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse sockets, questions and files of Linux's own (an audit hook)."""
    if event == "socket.__new__" and arguments[1] == _AF_NETLINK:
        raise OSError("Address family not supported")
    if event == "fcntl.ioctl" and arguments[1] == _TIOCOUTQ:
        raise OSError("Inappropriate ioctl for device")
    if event in ("open", "os.listdir", "os.scandir", "os.mkdir"):
        _check_path(arguments[0])


def _check_path(path: object) -> None:
    if isinstance(path, str | os.PathLike) and os.fspath(path).startswith(_FILES):
        raise FileNotFoundError(f"there is no {path} here")


def _without_linux_files(name: str) -> None:
    """Let a function that looks at a path find nothing of Linux's own."""
    original = getattr(os, name)

    def look(path: Any, *arguments: Any, **named: Any) -> Any:
        _check_path(path)
        return original(path, *arguments, **named)

    setattr(os, name, look)


def become(system: str) -> None:
    """Take away what the system, ``darwin`` or ``win32``, does not have."""
    for name in _IMPORTED_BEFORE.split():
        importlib.import_module(name)
    assert not any(name.partition(".")[0] == "mod_progress" for name in sys.modules)
    for name in _MODULES[system].split():
        sys.modules[name] = None  # type: ignore[assignment]
    for module, missing in _NAMES.items():
        for name in missing[system].split():
            if hasattr(module, name):
                delattr(module, name)
    for name in ("lstat", "readlink", "stat"):
        _without_linux_files(name)
    if system == "win32":
        _give_what_windows_has()
    sys.addaudithook(_refuse)
    sys.platform = system


def _give_what_windows_has() -> None:
    """Let event loops watch neither signals nor descriptors, and the system have certificates."""
    loop: Any = asyncio.SelectorEventLoop
    for name in ("add_reader", "add_signal_handler", "add_writer"):
        setattr(loop, name, getattr(asyncio.AbstractEventLoop, name))
    vars(ssl)["enum_certificates"] = lambda store: []


if __name__ == "__main__":
    become(sys.argv[1])
    del sys.argv[:2]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
