"""The stores, by name: through a store, every process finds the transfers of the others."""

from __future__ import annotations

import logging

from mod_progress.options import MissingExtraError, OptionError
from mod_progress.stores.contract import Store
from mod_progress.stores.reference import dereference

__all__ = ["open_store"]

logger = logging.getLogger("mod_progress")

_NAMES = (
    "memory, local, local:NAME, a redis://, rediss:// or unix:// URL, or env:NAME or file:PATH "
    "which holds one of them"
)


def open_store(spec: str | None = None) -> Store:
    """Return the store that ``spec`` names. It opens nothing before its first use.

    Without a name it is `local`, or `memory` on a system that has no `local`, which the log says.
    Raises `OptionError` if ``spec`` names no store, and `MissingExtraError` if the store needs an
    extra that is not installed. No credential is in their texts.
    """
    if spec is None:
        return _open_default()
    name = dereference(spec)
    try:
        return _open(name)
    except OptionError as error:
        if name == spec:
            raise
        raise type(error)("store", spec, error.takes) from None


def _open_default() -> Store:
    try:
        return _open("local")
    except OptionError as error:
        logger.warning("%s; until then each process knows its own transfers alone", error)
        return _open("memory")


def _open(name: str) -> Store:
    scheme, separator, rest = name.partition(":")
    if name == "memory":
        from mod_progress.stores.memory import MemoryStore

        return MemoryStore()
    if scheme == "local":
        try:
            from mod_progress.stores.lmdb.store import LocalStore
        except ImportError as error:  # Windows has no fcntl
            takes = f"there on this system ({error}): take memory or a redis:// URL"
            raise OptionError("store", name, takes) from None
        return LocalStore(rest if separator else None)
    if scheme in ("redis", "rediss", "unix"):
        try:
            from mod_progress.stores.redis.store import RedisStore
        except ModuleNotFoundError:
            takes = "there without its extra: pip install 'mod-progress[redis]'"
            raise MissingExtraError("store", f"{scheme}://...", takes) from None
        return RedisStore(name)
    if "/" in name or "@" in name:  # a URL with a mistake may hold a password too
        name = f"{scheme}:..." if scheme.isalpha() else "..."
    raise OptionError("store", name, _NAMES)
