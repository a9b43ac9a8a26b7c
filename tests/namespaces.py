"""Network namespaces of a test's own, and the cables between them. All of it is gone after."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Namespace:
    """A network namespace; one without a name is that of this process."""

    name: str = ""

    @property
    def inside(self) -> tuple[str, ...]:
        """What a command begins with that is to run in it."""
        return ("ip", "netns", "exec", self.name) if self.name else ()

    def ip(self, *words: str) -> None:
        run(*self.inside, "ip", *words)


HERE = Namespace()


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def namespace(label: str) -> Iterator[Namespace]:
    """Make one; what runs inside must have ended before this does."""
    made = Namespace(f"mod_progress-{os.getpid()}-{label}")
    run("ip", "netns", "add", made.name)
    try:
        made.ip("link", "set", "lo", "up")
        yield made
    finally:
        run("ip", "netns", "delete", made.name)


@contextmanager
def cable(label: str, network: str, near: Namespace, far: Namespace) -> Iterator[None]:
    """Connect two: ``near`` has the address ``network``.1, ``far`` has ``network``.2."""
    # The name of an interface has 15 characters at most.
    name = f"mp{os.getpid()}{label}"
    near.ip("link", "add", name, "type", "veth", "peer", "name", name, "netns", far.name)
    try:
        for end, number in ((near, 1), (far, 2)):
            end.ip("address", "add", f"{network}.{number}/24", "dev", name)
            end.ip("link", "set", name, "up")
        yield
    finally:
        near.ip("link", "delete", name)
