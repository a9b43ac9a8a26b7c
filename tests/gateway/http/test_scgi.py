from __future__ import annotations

from mod_progress.gateway.http.scgi import scgi_head


def test_the_example_of_the_specification() -> None:
    variables = [
        (b"CONTENT_LENGTH", b"27"),
        (b"REQUEST_METHOD", b"POST"),
        (b"REQUEST_URI", b"/deepthought"),
    ]
    pairs = b"CONTENT_LENGTH\x0027\0SCGI\x001\0REQUEST_METHOD\0POST\0REQUEST_URI\0/deepthought\0"
    assert scgi_head(variables) == b"70:" + pairs + b","
