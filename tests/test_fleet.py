"""Three gateways on three machines, as it were, and one Redis: each answers for the others.

Each gateway is in a network namespace of its own, with a cable to the one where Redis, the backend
and the clients are. Uploads go through all three, and each is polled at the other two alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from operator import lt
from pathlib import Path
from typing import Any

import pytest

from tests import fleet_load
from tests.fleet_load import RESPONSE, Notes, Poll, Upload
from tests.gateway.serving import Serving
from tests.namespaces import Namespace, cable, namespace
from tests.stores.store_servers import RedisServer

GATEWAYS = 3
POLLS = 10_000

#: Where the gateways and the backend listen: each namespace has all its ports to itself.
PORT = 8080

#: Seconds that a show elsewhere may be behind here. The contract says 0.25, which bench/stores.py
#: measures; a busy machine may add to it.
BEHIND = 3.0

SITE = """
setup {
    module_load ["mod_progress", "mod_proxy"];
    listen "NETWORK.2:PORT";
    progress.store "redis://NETWORK.1:REDIS";
}
if req.path == "/progress" { progress.show; } else { progress.track; proxy "NETWORK.1:PORT"; }
"""


def faults(upload: Upload, polls: list[Poll], behind: float) -> Iterator[str]:
    """Tell what is wrong in the answers about a transfer, which are in the order of the polls."""
    began, complete = upload.sent[0][0], upload.sent[-1][0]
    (ended,) = upload.answered
    whole = {"received": upload.size, "sent": len(RESPONSE)}
    whole |= {"request_size": upload.size, "response_size": len(RESPONSE)}
    before: dict[int, tuple[int, ...]] = {}
    for poll in polls:
        state = poll.answer["state"]
        if state == "unknown":
            if poll.gateway in before:
                yield "unknown again"
            elif poll.asked > began + behind:
                yield "unknown for too long"
            continue
        if state == "running":
            if poll.answer["received"] > sent_by(upload, poll.answered):
                yield "more than was sent"
            if poll.asked > ended + behind:
                yield "running for too long"
        elif poll.answer != {"state": "done"} | whole:
            yield f"not how it ended: {poll.answer}"
            continue
        elif poll.answered < complete:
            yield "done before the end"
        reached = (state == "done", poll.answer["received"], poll.answer["sent"])
        if any(map(lt, reached, before.get(poll.gateway, reached))):
            yield "a step back"
        before[poll.gateway] = reached


def sent_by(upload: Upload, moment: float) -> int:
    """Return how many bytes had been sent at that moment."""
    place = bisect_right(upload.sent, moment, key=lambda each: each[0])
    return upload.sent[place - 1][1] if place else 0


def running(received: int) -> dict[str, Any]:
    return {"state": "running", "received": received, "sent": 0}


UNKNOWN = {"state": "unknown"}
DONE = {"state": "done", "received": 9, "sent": 2, "request_size": 9, "response_size": 2}


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ([(0.0, UNKNOWN), (0.1, running(3)), (1.1, running(9)), (1.3, DONE)], []),
        ([(0.5, UNKNOWN)], ["unknown for too long"]),
        ([(0.1, running(3)), (0.2, UNKNOWN)], ["unknown again"]),
        ([(1.3, DONE), (9.0, UNKNOWN)], ["unknown again"]),
        ([(0.5, running(4))], ["more than was sent"]),
        ([(1.1, running(6)), (1.2, running(3))], ["a step back"]),
        ([(1.3, DONE), (1.4, running(9))], ["a step back"]),
        ([(0.9, DONE)], ["done before the end"]),
        ([(9.0, running(9))], ["running for too long"]),
        ([(1.3, DONE | {"sent": 0})], [f"not how it ended: {DONE | {'sent': 0}}"]),
        ([(1.3, {"state": "error"})], ["not how it ended: {'state': 'error'}"]),
    ],
)
def test_a_wrong_answer_is_recognised(
    answers: list[tuple[float, dict[str, Any]]], found: list[str]
) -> None:
    upload = Upload("a", 0, 9, [(0.0, 3), (1.0, 9)], [1.2])
    polls = [Poll("a", 1, time, time + 0.01, answer) for time, answer in answers]
    assert list(faults(upload, polls, behind=0.3)) == found


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[tuple[Namespace, list[str]]]:
    """Start it; return where the clients are to be, and the addresses of the gateways."""
    with ExitStack() as stack:
        centre = stack.enter_context(namespace("centre"))
        redis = RedisServer(tmp_path, "--protected-mode", "no", prefix=centre.inside)
        stack.callback(redis.kill)
        redis.start()
        addresses = []
        for number in range(GATEWAYS):
            # Of the block for tests of networks (RFC 2544).
            network = f"198.18.{number}"
            machine = stack.enter_context(namespace(str(number)))
            stack.enter_context(cable(str(number), network, centre, machine))
            site = SITE.replace("NETWORK", network).replace("PORT", str(PORT))
            directory = tmp_path / machine.name
            directory.mkdir(mode=0o700)
            gateway = Serving(
                directory, site.replace("REDIS", str(redis.port)), prefix=machine.inside
            )
            stack.callback(gateway.stop)
            addresses.append(f"{network}.2:{PORT}")
        yield centre, addresses


def drive(centre: Namespace, addresses: list[str]) -> Notes:
    """Load the fleet, and return what was noted."""
    command = [*centre.inside, sys.executable, fleet_load.__file__, str(PORT), str(POLLS)]
    done = subprocess.run([*command, *addresses], stdout=subprocess.PIPE, check=True, timeout=60)
    uploads, polls = json.loads(done.stdout)
    return Notes([Upload(*each) for each in uploads], [Poll(*each) for each in polls])


def test_no_answer_of_a_fleet_is_wrong(fleet: tuple[Namespace, list[str]]) -> None:
    notes = drive(*fleet)
    polls: dict[str, list[Poll]] = defaultdict(list)
    for poll in notes.polls:
        polls[poll.identifier].append(poll)
    wrong = Counter(
        fault
        for upload in notes.uploads
        for fault in faults(upload, polls[upload.identifier], BEHIND)
    )
    assert not wrong
    assert len(notes.polls) >= POLLS
    under_way = sum(poll.answer["state"] == "running" for poll in notes.polls)
    assert under_way > POLLS / 4
    for upload in notes.uploads:
        last = {poll.gateway: poll.answer["state"] for poll in polls[upload.identifier]}
        assert last == dict.fromkeys({0, 1, 2} - {upload.gateway}, "done")
