from __future__ import annotations

import pytest

from mod_progress.gateway.http.heads import Refusal
from mod_progress.gateway.http.uwsgi import uwsgi_head


def test_a_head() -> None:
    written = uwsgi_head([(b"A", b"bc"), (b"D", b"e" * 300)])
    assert written == b"\0\x38\x01\0" + b"\x01\0A\x02\0bc" + b"\x01\0D\x2c\x01" + b"e" * 300


@pytest.mark.parametrize("sizes", [(65_536,), (40_000, 40_000)])
def test_what_does_not_fit_is_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(Refusal, match="431"):
        uwsgi_head([(b"A", b"v" * size) for size in sizes])
