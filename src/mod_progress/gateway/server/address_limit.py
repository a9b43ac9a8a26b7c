"""How many connections one client address may have at once."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv6Address

#: Bits of an IPv6 address that name a network: a client has all the addresses of its network
#: (RFC 6177, RFC 7421).
_NETWORK = 64


class AddressLimit:
    """Counts the connections of each client address in this process."""

    def __init__(self, most: int) -> None:
        """Begin with none; an address may have ``most``."""
        self.most = most
        self._connections = Counter[str | int]()

    def enter(self, address: str) -> int:
        """Count a connection more; return by how many the address is now above its limit.

        The clients of Unix sockets have no address, and no limit.
        """
        if not address:
            return 0
        key = _key(address)
        self._connections[key] += 1
        return max(0, self._connections[key] - self.most)

    def leave(self, address: str) -> None:
        """Count one less."""
        if address:
            key = _key(address)
            self._connections[key] -= 1
            if not self._connections[key]:
                del self._connections[key]

    def __len__(self) -> int:
        """Return how many addresses have connections."""
        return len(self._connections)


def _key(address: str) -> str | int:
    if ":" not in address:
        return address
    parsed = IPv6Address(address.partition("%")[0])
    return str(parsed.ipv4_mapped) if parsed.ipv4_mapped else int(parsed) >> 128 - _NETWORK
