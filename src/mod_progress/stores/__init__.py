"""The stores, by name: through a store, every process finds the transfers of the others."""

from __future__ import annotations

from mod_progress.options import OptionError
from mod_progress.stores.contract import Store

__all__ = ["open_store"]


def open_store(spec: str) -> Store:
    """Return the store that ``spec`` names. It opens nothing before its first use.

    Raises `OptionError` if ``spec`` names no store, or needs an extra that is not installed.
    """
    scheme, _, rest = spec.partition(":")
    if spec == "memory":
        from mod_progress.stores.memory import MemoryStore

        return MemoryStore()
    if scheme == "local":
        from mod_progress.stores.lmdb.store import LocalStore

        return LocalStore(rest if ":" in spec else None)
    if scheme in ("redis", "rediss", "unix"):
        try:
            from mod_progress.stores.redis.store import RedisStore
        except ModuleNotFoundError:
            takes = "there without its extra: pip install 'mod-progress[redis]'"
            raise OptionError("store", f"{scheme}://...", takes) from None
        return RedisStore(spec)
    raise OptionError(
        "store", spec, "memory, local, local:NAME or a redis://, rediss:// or unix:// URL"
    )
