"""The user that workers run as.

The supervisor listens, reads certificates and makes logs, which may take root. It keeps its user,
as a reload may need all of that again, and it reads nothing that a client sends. Workers give root
up before they accept a connection.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple


class IdentityError(Exception):
    """The user or the group cannot be changed to; the message says why."""


class Identity(NamedTuple):
    """A user and its groups, by their numbers."""

    user: int
    group: int
    groups: tuple[int, ...]

    def assume(self) -> None:
        """Become this user for good; raises OSError."""
        if os.geteuid():  # `find_identity` has seen that this is the user already
            return
        # In this order: the user that we become may not change its groups.
        os.setgroups(self.groups)
        os.setgid(self.group)
        os.setuid(self.user)

    def own(self, descriptor: int) -> None:
        """Give a file to this user; raises OSError."""
        if not os.geteuid():
            os.fchown(descriptor, self.user, self.group)

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Have the rights of this user for a moment; raises OSError."""
        if os.geteuid():
            yield
            return
        group, groups = os.getegid(), os.getgroups()
        try:
            os.setgroups(self.groups)
            os.setegid(self.group)
            os.seteuid(self.user)
            yield
        finally:
            os.seteuid(0)
            os.setegid(group)
            os.setgroups(groups)


def find_identity(user: str | None, group: str | None) -> Identity | None:
    """Return what to run as, by names or numbers; None where nothing is to change.

    Raises `IdentityError` where there is no such user or group, or where this process may not.
    """
    if user is None and group is None:
        return None
    account = find_user(user) if user is not None else None
    number = os.geteuid() if account is None else account.pw_uid
    if group is not None:
        own_group = find_group(group)
    else:
        own_group = os.getegid() if account is None else account.pw_gid
    if os.geteuid() and (number, own_group) != (os.geteuid(), os.getegid()):
        raise IdentityError("only root can run workers as another user or group")
    groups = [own_group] if account is None else os.getgrouplist(account.pw_name, own_group)
    return Identity(number, own_group, tuple(groups))


def find_user(user: str) -> pwd.struct_passwd:
    """Return the account of a name or a number; raises `IdentityError`."""
    try:
        return pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except (KeyError, OverflowError):
        raise IdentityError(f"there is no user '{user}'") from None


def find_group(group: str) -> int:
    """Return the number of a group, by its name or number; raises `IdentityError`."""
    try:
        return (grp.getgrgid(int(group)) if group.isdecimal() else grp.getgrnam(group)).gr_gid
    except (KeyError, OverflowError):
        raise IdentityError(f"there is no group '{group}'") from None
