from __future__ import annotations

import errno
import logging
import os

import pytest

from mod_progress.gateway.http.heads import Refusal
from mod_progress.gateway.streams.disk import disk_errors

HIDDEN = "the server cannot write to its disk; its log says why"


@pytest.mark.parametrize(
    ("number", "status", "words"),
    [
        (errno.ENOSPC, 507, "the server's disk is full"),
        (errno.EDQUOT, 507, "the server's disk quota is used up"),
        (errno.EFBIG, 507, "the body is larger than a file may be on the server's disk"),
        (errno.EACCES, 500, HIDDEN),
        (errno.EROFS, 500, HIDDEN),
    ],
)
def test_a_fault_of_the_disk_is_told_in_words_and_logged(
    number: int, status: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.ERROR),
        pytest.raises(Refusal) as raised,
        disk_errors("/var/uploads"),
    ):
        raise OSError(number, os.strerror(number), "/var/uploads/secret")
    assert (raised.value.status, raised.value.reason) == (status, words)
    assert caplog.messages == [f"cannot write in /var/uploads: {os.strerror(number)}"]
