"""The examination of an app: what happens, and what is judged by it."""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import NamedTuple

from mod_progress.doctor import faults
from mod_progress.doctor.faults import Fault
from mod_progress.doctor.proxies import Harm, advise_against
from mod_progress.doctor.stream import Stream
from mod_progress.doctor.target import NotShownError, Poll, Reply, Target
from mod_progress.doctor.upload import HELD_AT, PARTS, PATIENCE, UPLOAD_SIZE, Upload
from mod_progress.identifier import PARAMETER

#: After so many answers in a row that tell of the end, all workers are taken to know it.
AGREED = 10

#: The ways to carry an id: a query and a header, in which {} stands for the id.
SPELLINGS = {
    f"the query parameter {PARAMETER}": (f"{PARAMETER}={{}}", ""),
    f"the query parameter {PARAMETER.lower()}": (f"{PARAMETER.lower()}={{}}", ""),
    f"the header {PARAMETER}": ("", "{}"),
}

#: The age that Varnish also gives to what it does not keep.
_NO_AGE = "0"

#: The redirects that ask for the same request at another address (RFC 9110, sections 15.4.2, 15.4.8
#: and 15.4.9), and those that lead to a page after it (15.4.3 and 15.4.4).
_MOVED = {301, 307, 308}
_SEE_OTHER = {302, 303}

#: What tells a page to log in, in its address or in its text.
_LOGIN_ADDRESS = re.compile(r"\b(log[-_]?[io]n|sign[-_]?in|sso|o?auth2?|saml2?)\b", re.IGNORECASE)
_PASSWORD_FIELD = re.compile(r"<input[^>]*\btype\s*=\s*[\"']?password\b", re.IGNORECASE)


class Finding(NamedTuple):
    """A fault that was found, its circumstances, and what to set where a proxy is known by name."""

    fault: Fault
    detail: str = ""
    advice: tuple[str, ...] = ()


@dataclass(slots=True)
class Course:
    """What a slow upload looked like from outside."""

    polls: list[Poll]
    #: The answers to one and the same question, while the upload ran and when it had ended.
    before: Poll
    after: Poll
    reply: Reply
    stream: Stream
    #: When the last tenth of the upload began, by `time.monotonic`; None where it did not.
    resumed: float | None
    #: Whether the answers told before that of what was sent.
    shown: bool


def examine(target: Target, seconds: float, patience: float = PATIENCE) -> Iterator[Finding]:
    """Yield what is wrong with the progress of an app's uploads.

    ``seconds`` is for how long to upload, ``patience`` for how long to wait for what should have
    come about. Raises OSError where nothing listens.
    """
    try:
        target.ask(secrets.token_hex(8))
        if target.origin and not target.allows():
            yield Finding(faults.NOT_ALLOWED, target.origin)
        course = watch(target, seconds, patience)
        findings = [*judge_reply(target, course.reply), *judge_polls(course)]
        yield from findings
        found = {finding.fault for finding in findings}
        if not {faults.NOT_TRACKED, faults.CACHED, faults.NOT_SHARED} & found:
            yield from judge_stream(course, target.show)
        if not {faults.NOT_TRACKED, faults.CACHED} & found:
            yield from find_removed(target, patience)
    except NotShownError as error:
        yield Finding(faults.NOT_SHOWN, str(error))


def watch(target: Target, seconds: float, patience: float = PATIENCE) -> Course:
    """Send a slow upload; ask for it meanwhile, and afterwards until all workers know its end.

    A stream of events about it is read, too. The last tenth of the upload waits until the answers
    and the stream tell of the rest, or for ``patience`` seconds.
    """
    identifier = secrets.token_hex(8)
    query = f"{PARAMETER}={identifier}"
    upload = Upload(target, query, identifier, UPLOAD_SIZE, seconds, patience)
    thread = threading.Thread(target=upload.run, daemon=True)
    stream = Stream(target, identifier)
    stream.open()
    thread.start()
    before = target.ask(identifier, plain=True)
    polls = []
    shown = False
    while thread.is_alive():
        polls.append(target.ask(identifier, upload.sent))
        told = polls[-1].sent >= HELD_AT and not polls[-1].behind
        shown |= told and upload.resumed is None
        if told and (stream.first_running is not None or stream.lasted is not None):
            upload.released.set()
        thread.join(seconds / PARTS)
    deadline = time.monotonic() + patience
    last: list[Poll] = []
    while time.monotonic() < deadline and not (len(last) == AGREED and all(p.ended for p in last)):
        polls.append(target.ask(identifier, upload.sent))
        last = [*last, polls[-1]][-AGREED:]
    stream.wait(max(0.0, deadline - time.monotonic()))
    stream.close()
    after = target.ask(identifier, plain=True)
    return Course(polls, before, after, upload.reply, stream, upload.resumed, shown)


def judge_reply(target: Target, reply: Reply) -> Iterator[Finding]:
    """Yield what the answer to an upload says about it."""
    if reply.status in _MOVED:
        yield Finding(faults.MOVED, str(reply))
    elif reply.status in _SEE_OTHER and _is_login(target, reply.location):
        yield Finding(faults.LOGIN, str(reply))
    elif reply.status in _SEE_OTHER:
        yield Finding(faults.REDIRECTED, str(reply))
    elif not 200 <= reply.status < 300:
        yield Finding(faults.REFUSED, str(reply))


def _is_login(target: Target, location: str) -> bool:
    """Whether this is the address of a page to log in, or the page asks for a password."""
    if _LOGIN_ADDRESS.search(location):
        return True
    return _PASSWORD_FIELD.search(target.read_page(location)) is not None


def judge_polls(course: Course) -> Iterator[Finding]:
    """Yield what the answers to all questions say about the way to the app, and about its store."""
    polls = course.polls
    if any(poll.age not in (None, _NO_AGE) for poll in polls):
        yield Finding(faults.CACHED, "they carry the header Age")
        return
    known = [poll for poll in polls if poll.known]
    if not known:
        yield Finding(faults.NOT_TRACKED)
        return
    shared = all(poll.known for poll in polls[polls.index(known[0]) :])
    if not shared:
        yield Finding(faults.NOT_SHARED)
    elif course.after.answer == course.before.answer != polls[-1].answer:
        yield Finding(faults.CACHED, "the same question got an old answer")
    # The few answers of workers that do not share say little about how far the upload is.
    held = _held_back(polls) if shared else ""
    if held:
        yield Finding(faults.BUFFERED, held)


def _held_back(polls: list[Poll]) -> str:
    """Say how far the app was behind late in the upload, if it was in every answer."""
    late = [poll for poll in polls if HELD_AT <= poll.sent < UPLOAD_SIZE]
    if not late or not all(poll.behind for poll in late):
        return ""
    return f"when {late[-1].sent} bytes were sent, the app had {late[-1].received}"


def judge_stream(course: Course, show: str) -> Iterator[Finding]:
    """Yield what stands in the way of a stream of events; ``show`` is the path of the show."""
    stream = course.stream
    reply = stream.reply
    advise = partial(advise_against, fields=stream.fields, show=show)
    if reply is None:
        yield Finding(faults.STREAM_HELD, "no answer came", advise(Harm.HELD))
    elif reply.status == HTTPStatus.NOT_ACCEPTABLE:
        yield Finding(faults.NO_STREAM, str(reply))
    elif not stream.is_stream:
        kind = stream.fields.get("Content-Type", "no Content-Type")
        yield Finding(faults.STREAM_REFUSED, f"{reply}, {kind}")
    elif stream.was_cut and stream.first_event is not None:
        detail = f"after {stream.lasted:.1f} seconds"
        yield Finding(faults.STREAM_CUT, detail, advise(Harm.CUT))
    elif held := _held_stream(course):
        yield Finding(faults.STREAM_HELD, held, advise(Harm.HELD))
    else:
        if stream.coding:
            yield Finding(faults.STREAM_COMPRESSED, stream.coding, advise(Harm.COMPRESSED))
        control = stream.fields.get("Cache-Control")
        if "no-transform" not in (control or ""):
            said = f"`Cache-Control: {control}`" if control else "nothing"
            yield Finding(faults.STREAM_CHANGED, said)


def _held_stream(course: Course) -> str:
    """Say what of the stream had not come late in the upload, if something had not."""
    stream, resumed = course.stream, course.resumed
    if resumed is None:
        return ""  # the upload was answered early: nothing was to come
    if stream.first_event is None or stream.first_event > resumed:
        return "none came before nine tenths of the upload were sent"
    if course.shown and (stream.first_running is None or stream.first_running > resumed):
        return "only the first came before nine tenths of the upload were sent"
    return ""


def find_removed(target: Target, patience: float = PATIENCE) -> Iterator[Finding]:
    """Yield the ways to carry an id by which an upload is not tracked."""
    identifiers = {spelling: secrets.token_hex(8) for spelling in SPELLINGS}
    for spelling, identifier in identifiers.items():
        query, header = (text.format(identifier) for text in SPELLINGS[spelling])
        Upload(target, query, header, PARTS).run()
    deadline = time.monotonic() + patience
    for spelling, identifier in identifiers.items():
        while not target.ask(identifier).known:
            if time.monotonic() > deadline:
                yield Finding(faults.REMOVED, spelling)
                break
