"""The bounds of clients, messages and backends: sizes in bytes, times in seconds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import NamedTuple


class HeadLimits(NamedTuple):
    """The bounds of one head."""

    #: Bytes of the whole head.
    size: int = 32 * 1024
    #: Header fields.
    fields: int = 100
    #: Bytes of the request target.
    target: int = 8 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Every bound of the gateway. 0 switches a bound off where its comment says so."""

    #: A request's or response's whole head (431, 502).
    head_size: int = 32 * 1024
    #: Header fields in a head (431, 502).
    head_fields: int = 100
    #: The request target (414).
    target_size: int = 8 * 1024
    #: From a request's first byte to the end of its head (408).
    head_time: float = 20.0
    #: A kept-alive connection between two requests, and before the first.
    idle_time: float = 75.0
    #: A request body, also when chunked (413); 0: any size.
    body_size: int = 16 * 1024**3
    #: Within a body: no byte moved for so long (408, or cut).
    body_idle_time: float = 60.0
    #: Least bytes a second of a request body, over each `body_idle_time` (408), and of a response
    #: that waits for the client to read (cut); 0: any rate. A phone at the edge of a network of the
    #: second generation has ten times as much; Apache's mod_reqtimeout asks for 500.
    body_least_rate: int = 100
    response_least_rate: int = 100
    #: To connect to an upstream (504).
    connect_time: float = 10.0
    #: An upstream takes no byte of a request for so long (504).
    upstream_send_time: float = 60.0
    #: An upstream sends no byte of a response for so long (504, or cut).
    upstream_read_time: float = 60.0
    #: Idle upstream connections kept, each upstream and worker, and for how long.
    upstream_idle: int = 64
    upstream_idle_time: float = 30.0
    #: A tunnel, such as a WebSocket, in which no byte moves for so long is cut; 0: never.
    tunnel_idle_time: float = 3600.0
    #: Client connections of one worker. At the limit, those that are idle for the longest time are
    #: closed; where none is idle, more wait in the listen queue.
    connections: int = 20_000
    #: Connections of one client address at once, in one worker (503). An IPv6 network of 64 bits
    #: counts as one address. 0: any number, the default, as a front proxy, a company or a telephone
    #: network behind one address looks like a single client.
    per_address: int = 0
    #: Bytes of pipelined requests that wait behind the one being answered.
    pipelined_size: int = 64 * 1024
    #: After an early answer: for how long, and how much of the rest of the body is read on
    #: (RFC 9112, section 9.6).
    linger_time: float = 5.0
    linger_size: int = 64 * 1024**2
    #: At SIGTERM or a reload: the time for requests in progress to finish.
    drain_time: float = 3600.0

    @property
    def tick(self) -> float:
        """Seconds between two looks at the deadlines: one, and less where a limit is short."""
        times = [value for name, value in asdict(self).items() if name.endswith("_time") and value]
        return float(min(1.0, min(times) / 4))

    @property
    def head(self) -> HeadLimits:
        """The bounds of one head."""
        return HeadLimits(self.head_size, self.head_fields, self.target_size)
