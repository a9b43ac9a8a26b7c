"""The action `auth.basic`: who may go on, by name and password (RFC 7617)."""

from __future__ import annotations

import binascii
import hmac
import os
import re
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import bcrypt

from mod_progress.gateway.exchange import Exchange, Postponed
from mod_progress.gateway.http.heads import Refusal

#: A hash by bcrypt. `htpasswd` makes none whose cost is above 17, which takes seconds to check.
_HASH = re.compile(rb"\$2[aby]\$(?:0[4-9]|1[0-7])\$[./A-Za-z0-9]{53}").fullmatch

_CREDENTIALS = re.compile(rb"basic +([A-Za-z0-9+/]+={0,2}) *", re.IGNORECASE).fullmatch

#: Bytes of a password that bcrypt looks at.
_LONGEST_PASSWORD = 72

#: Verified credentials that are remembered, so that not each request pays for bcrypt.
_REMEMBERED = 1024

#: Passwords that are checked at one time, and that wait for it: strangers can send any number.
_THREADS = 2
_MOST_WAITING = 64


#: What a browser may show when it asks for a password.
DEFAULT_REALM = "mod_progress"


class PasswordFileError(Exception):
    """A line of a password file cannot be used; the message says which, and why."""


def parse_passwords(text: bytes) -> dict[bytes, bytes]:
    """Return the hashes by user of a file by `htpasswd -B`; raises `PasswordFileError`."""
    hashes = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith(b"#"):
            continue
        user, _, hashed = line.partition(b":")
        if not user or _HASH(hashed) is None:
            raise PasswordFileError(
                f"line {number} is not a user and a hash by bcrypt, as htpasswd -B writes it"
            )
        hashes[user] = hashed
    if not hashes:
        raise PasswordFileError("it names no user")
    return hashes


class BasicAuth:
    """Refuses (401) requests without the name and the password of a user."""

    def __init__(self, hashes: Mapping[bytes, bytes], realm: str) -> None:
        self._hashes = dict(hashes)
        quoted = realm.replace("\\", "\\\\").replace('"', '\\"').encode()
        self._challenge = b'WWW-Authenticate: Basic realm="%b", charset="UTF-8"\r\n' % quoted
        # A hash for names that are not known: their check takes as long as that of others.
        costs = max(int(hashed[4:6]) for hashed in self._hashes.values())
        self._nobody = bcrypt.hashpw(os.urandom(16), bcrypt.gensalt(costs))
        # What was verified, by a keyed hash: no password stays in memory.
        self._key = os.urandom(32)
        self._verified: OrderedDict[bytes, None] = OrderedDict()
        self._threads: ThreadPoolExecutor | None = None
        self._waiting = 0

    def __call__(self, exchange: Exchange) -> None:
        """Go on, raise `Refusal` (401, 503), or `Postponed` until the password is checked."""
        user, password = self._credentials(exchange)
        digest = hmac.digest(self._key, b"%b:%b" % (user, password), "sha256")
        if digest in self._verified:
            self._verified.move_to_end(digest)
            exchange.user = user
            return
        if self._waiting >= _MOST_WAITING:
            raise Refusal(503, "too many passwords wait to be checked; try again in a moment")
        raise Postponed(lambda: self._verify(exchange, user, password, digest))

    def _credentials(self, exchange: Exchange) -> tuple[bytes, bytes]:
        match = _CREDENTIALS(exchange.request.named.get(b"authorization", b""))
        if match is None:
            raise self._refuse("this needs a name and a password")
        try:
            user, colon, password = binascii.a2b_base64(match[1]).partition(b":")
        except binascii.Error:
            raise self._refuse("the name and the password are not in base64") from None
        if not colon:
            raise self._refuse("there is no password")
        return user, password

    async def _verify(
        self, exchange: Exchange, user: bytes, password: bytes, digest: bytes
    ) -> None:
        """Check a password in a thread; raises `Refusal` (401)."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, "auth.basic")
        hashed = self._hashes.get(user)
        loop = exchange.client.state.loop
        self._waiting += 1
        try:
            right = await loop.run_in_executor(
                self._threads, _check, password, hashed or self._nobody
            )
        finally:
            self._waiting -= 1
        if not right or hashed is None:
            raise self._refuse("the name or the password is wrong")
        self._verified[digest] = None
        if len(self._verified) > _REMEMBERED:
            self._verified.popitem(last=False)

    def _refuse(self, why: str) -> Refusal:
        return Refusal(401, why, self._challenge)


def _check(password: bytes, hashed: bytes) -> bool:
    """Whether the password has this hash. The comparison takes constant time."""
    if len(password) > _LONGEST_PASSWORD:
        # bcrypt would compare the first bytes alone, or refuse. The time is that of a wrong one.
        bcrypt.checkpw(b"", hashed)
        return False
    return bcrypt.checkpw(password, hashed)
