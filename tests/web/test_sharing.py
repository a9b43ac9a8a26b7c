"""`progress-sharing.js` and `progress-sha256.js` make of an id the same as the server does."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

from playwright.sync_api import Page

from mod_progress.identifier import shared_form
from tests.web.browsing import ELSEWHERE
from tests.web.playground import Playground

SHARE = """(ids) => import("/progress-sharing.js").then(
    ({ sharedIdentifier }) => Promise.all(ids.map(sharedIdentifier)))"""

IDENTIFIERS = ["own~secret", "own~", "own~" + "x" * 124, 'own~!"~%&', "plain", "OWN~x", "see~1"]


def test_the_shared_form_is_the_servers(
    open_page: Callable[..., Page], playground: Playground
) -> None:
    expected = [shared_form(each) for each in IDENTIFIERS]
    page = open_page(playground.url)
    assert page.evaluate("isSecureContext")
    assert page.evaluate(SHARE, IDENTIFIERS) == expected
    # By plain http from elsewhere, the browser has no SHA-256.
    page = open_page(playground.url.replace("127.0.0.1", ELSEWHERE))
    assert page.evaluate("crypto.subtle") is None
    assert page.evaluate(SHARE, IDENTIFIERS) == expected


def test_digests_of_all_lengths(open_page: Callable[..., Page], playground: Playground) -> None:
    inputs = [os.urandom(length) for length in range(260)]
    page = open_page(playground.url)
    digests = page.evaluate(
        """(inputs) => import("/progress-sha256.js").then(({ sha256 }) =>
            inputs.map((bytes) => [...sha256(Uint8Array.from(bytes))]))""",
        [[*each] for each in inputs],
    )
    assert [bytes(each) for each in digests] == [hashlib.sha256(each).digest() for each in inputs]
