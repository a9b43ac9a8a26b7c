"""A file system of the test's own: real system calls, of which it refuses those that it is told to.

Many file systems know no links, no files without names, no locks: FAT, SMB, most that are made with
FUSE. The machine of a test need not have one of them. This one keeps its files in memory, in one
directory, and speaks the kernel's protocol (linux/fuse.h) over /dev/fuse.

    python fuse.py DIRECTORY '{"LINK": 1, "SETLK": 37}'
"""

from __future__ import annotations

import errno
import json
import os
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_HEADER = struct.Struct("<IIQQIIII")
_ATTRIBUTES = struct.Struct("<QQQQQQIIIIIIIIII")
_ROOT = 1
_SIZE, _MTIME = 1 << 3, 1 << 5
_FLOCK_LOCKS = 1 << 10
_MOST_WRITTEN = 128 * 1024

#: Requests that get no answer: FORGET, INTERRUPT, BATCH_FORGET.
_UNANSWERED = {2, 36, 42}

#: The numbers of the requests that a test may have refused.
NUMBERS = {
    "LINK": 13, "WRITE": 16, "FLUSH": 25, "CREATE": 35, "SETLK": 32, "SETLKW": 33,
    "RENAME": 12, "RENAME2": 45, "TMPFILE": 51, "UNLINK": 10,
}  # fmt: skip


@contextmanager
def file_system(directory: Path, forbidden: str = "", /, **refused: int) -> Iterator[Path]:
    """Mount one that answers the requests named in ``refused`` with these errors.

    A name with one of the ``forbidden`` characters is EINVAL.
    """
    directory.mkdir()
    settings = json.dumps({"forbidden": forbidden, **refused})
    command = [sys.executable, __file__, str(directory), settings]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        try:
            assert server.stdout.readline() == b"mounted\n"
            yield directory
        finally:
            subprocess.run(["umount", "--lazy", str(directory)], check=True)
            server.kill()


class File:
    """What is known of one file."""

    def __init__(self, mode: int) -> None:
        self.mode = mode
        self.content = bytearray()
        self.changed = time.time()


class FileSystem:
    """Answers the kernel's requests."""

    def __init__(self, refused: dict[int, int], forbidden: str) -> None:
        self._refused = refused
        self._forbidden = set(forbidden.encode())
        self._files = {_ROOT: File(stat.S_IFDIR | 0o777)}
        self._names: dict[bytes, int] = {}
        self._answers: dict[int, Callable[[int, bytes], bytes]] = {
            1: self._look_up, 3: self._get_attributes, 4: self._set_attributes,
            10: self._unlink, 12: self._rename, 13: self._link, 14: self._open, 15: self._read,
            16: self._write, 17: self._statistics, 18: self._nothing, 20: self._nothing,
            25: self._nothing, 26: self._begin, 27: self._open, 28: self._list,
            29: self._nothing, 32: self._nothing, 33: self._nothing, 35: self._create,
            45: self._rename_with_flags,
        }  # fmt: skip

    def serve(self, device: int) -> None:
        """Answer until the file system is no longer mounted."""
        while True:
            try:
                message = os.read(device, _MOST_WRITTEN + 4096)
            except OSError:
                return
            _, number, unique, node, *_ = _HEADER.unpack_from(message)
            if number in _UNANSWERED:
                continue
            error, body = self._answer(number, node, message[_HEADER.size :])
            head = struct.pack("<IiQ", 16 + len(body), -error, unique)
            try:
                os.write(device, head + body)
            except OSError:
                continue  # the request was interrupted

    def _answer(self, number: int, node: int, arguments: bytes) -> tuple[int, bytes]:
        if number in self._refused:
            return self._refused[number], b""
        answer = self._answers.get(number)
        if answer is None:
            return errno.ENOSYS, b""
        try:
            return 0, answer(node, arguments)
        except OSError as error:
            return error.errno or errno.EIO, b""

    def _begin(self, node: int, arguments: bytes) -> bytes:
        locks = _FLOCK_LOCKS if self._refused.keys() & {32, 33} else 0
        return struct.pack(
            "<IIIIHHIIHHII24x", 7, 31, 1 << 17, locks, 12, 9, _MOST_WRITTEN, 1, 32, 0, 0, 0
        )

    def _nothing(self, node: int, arguments: bytes) -> bytes:
        return b""

    def _attributes(self, node: int) -> bytes:
        file = self._files[node]
        size, changed, links = len(file.content), file.changed, 1
        seconds, nanoseconds = int(changed), int(changed % 1 * 1e9)
        times = (seconds,) * 3 + (nanoseconds,) * 3
        return _ATTRIBUTES.pack(node, size, size // 512, *times, file.mode, links, 0, 0, 0, 4096, 0)

    def _entry(self, node: int) -> bytes:
        return struct.pack("<QQQQII", node, 0, 0, 0, 0, 0) + self._attributes(node)

    def _get_attributes(self, node: int, arguments: bytes) -> bytes:
        return struct.pack("<QII", 0, 0, 0) + self._attributes(node)

    def _set_attributes(self, node: int, arguments: bytes) -> bytes:
        valid, _, _, size, _, _, mtime = struct.unpack_from("<IIQQQQQ", arguments)
        if valid & _SIZE:
            content = self._files[node].content
            content[:] = content[:size].ljust(size, b"\0")
        if valid & _MTIME:
            self._files[node].changed = mtime
        return self._get_attributes(node, arguments)

    def _look_up(self, node: int, arguments: bytes) -> bytes:
        return self._entry(self._find(arguments[:-1]))

    def _find(self, name: bytes) -> int:
        self._check(name)
        if name not in self._names:
            raise FileNotFoundError(errno.ENOENT, "")
        return self._names[name]

    def _check(self, name: bytes) -> None:
        if self._forbidden & set(name):
            raise OSError(errno.EINVAL, "")

    def _create(self, node: int, arguments: bytes) -> bytes:
        _, mode, umask, _ = struct.unpack_from("<IIII", arguments)
        name = arguments[16:-1]
        self._check(name)
        if name in self._names:
            raise FileExistsError(errno.EEXIST, "")
        made = max(self._files) + 1
        self._files[made] = File(stat.S_IFREG | (mode & ~umask & 0o777))
        self._names[name] = made
        return self._entry(made) + self._open(made, b"")

    def _open(self, node: int, arguments: bytes) -> bytes:
        return struct.pack("<QIi", 0, 0, 0)

    def _read(self, node: int, arguments: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", arguments)
        return bytes(self._files[node].content[offset : offset + size])

    def _write(self, node: int, arguments: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", arguments)
        file = self._files[node]
        file.content[offset : offset + size] = arguments[40:]
        file.changed = time.time()
        return struct.pack("<II", size, 0)

    def _unlink(self, node: int, arguments: bytes) -> bytes:
        self._find(arguments[:-1])
        del self._names[arguments[:-1]]
        return b""

    def _link(self, node: int, arguments: bytes) -> bytes:
        (linked,) = struct.unpack_from("<Q", arguments)
        self._check(arguments[8:-1])
        self._names[arguments[8:-1]] = linked
        return self._entry(linked)

    def _rename(self, node: int, arguments: bytes, names_at: int = 8) -> bytes:
        source, target = arguments[names_at:-1].split(b"\0")
        self._check(target)
        self._names[target] = self._find(source)
        del self._names[source]
        return b""

    def _rename_with_flags(self, node: int, arguments: bytes) -> bytes:
        return self._rename(node, arguments, 16)

    def _statistics(self, node: int, arguments: bytes) -> bytes:
        return struct.pack("<QQQQQIIII24x", 1 << 20, 1 << 20, 1 << 20, 99, 99, 4096, 255, 4096, 0)

    def _list(self, node: int, arguments: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", arguments)
        entries = b""
        for number, (name, listed) in enumerate(self._names.items(), 1):
            entry = struct.pack("<QQII", listed, number, len(name), 0) + name
            entry += bytes(-len(entry) % 8)
            if number > offset and len(entries + entry) <= size:
                entries += entry
        return entries


def main(directory: str, settings: str) -> None:
    """Mount, say so, and answer."""
    refused = json.loads(settings)
    forbidden = refused.pop("forbidden")
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other"
    command = ["mount", "--internal-only", "--types", "fuse", "--options", options, "test"]
    subprocess.run([*command, directory], check=True, pass_fds=(device,))
    print("mounted", flush=True)
    numbers = {NUMBERS[name]: error for name, error in refused.items()}
    FileSystem(numbers, forbidden).serve(device)


if __name__ == "__main__":
    main(*sys.argv[1:])
