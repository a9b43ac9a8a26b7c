import hashlib
import string
import tracemalloc
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mod_progress.identifier import (
    CALLBACK_PARAMETER,
    check_identifier,
    find_identifier,
    find_parameter,
    identify,
    lets_only_look,
    name_in_query,
    obscure,
    obscure_in_path,
    shared_form,
    shorten,
    shorten_in_url,
)

VISIBLE = "".join(map(chr, range(0x21, 0x7F)))


@pytest.mark.parametrize(
    ("query", "header", "found"),
    [
        (b"X-Progress-ID=abc", None, b"abc"),
        (b"X-Progress-Id=abc", None, b"abc"),
        (b"x-progress-id=abc", None, b"abc"),
        (b"X-PROGRESS-ID=abc", None, b"abc"),
        (b"X%2DProgress%2dID=abc", None, b"abc"),
        (b"a=1&X-Progress-ID=abc&b=2", None, b"abc"),
        (b"X-Progress-ID=first&X-Progress-ID=second", None, b"first"),
        (b"X-Progress-ID=a%2Fb", None, b"a/b"),
        (b"X-Progress-ID=a+b", None, b"a+b"),
        (b"X-Progress-ID=a=b", None, b"a=b"),
        (b"X-Progress-ID=", None, b""),
        (b"X-Progress-ID=abc", b"other", b"abc"),
        (b"X-Progress-ID=", b"other", b""),
        (b"", b"other", b"other"),
        (b"a=1", b"other", b"other"),
        (b"a=1", None, None),
        (b"X-Progress-ID", None, None),
        (b"XX-Progress-ID=abc", None, None),
        (b"a=X-Progress-ID=abc", None, None),
        (b"X-Progress-IDs=abc", None, None),
        (b"", None, None),
    ],
)
def test_where_an_id_is_found(query: bytes, header: bytes | None, found: bytes | None) -> None:
    assert find_identifier(query, header) == found


@pytest.mark.parametrize(
    ("candidate", "valid"),
    [
        (b"a", True),
        (VISIBLE[:128].encode(), True),
        (b"x" * 128, True),
        (b"x" * 129, False),
        (b"", False),
        (None, False),
        (b"a b", False),
        (b"a\n", False),
        (b"a\0", False),
        (b"\x7f", False),
        ("ä".encode(), False),
    ],
)
def test_which_ids_are_valid(candidate: bytes | None, valid: bool) -> None:
    assert (check_identifier(candidate) is not None) is valid


def test_other_parameters_are_found_the_same_way() -> None:
    query = b"X-Progress-ID=a&x-progress-callback=my.function"
    assert find_parameter(query, CALLBACK_PARAMETER) == b"my.function"


@given(
    st.text(VISIBLE, min_size=1, max_size=128),
    st.lists(st.text(string.ascii_letters, min_size=1), max_size=3),
)
def test_an_encoded_id_comes_back(identifier: str, others: list[str]) -> None:
    pairs = [f"{name}=x" for name in others]
    pairs.append(f"X-Progress-ID={quote(identifier, safe='')}")
    query = "&".join(pairs).encode()
    assert check_identifier(find_identifier(query, None)) == identifier


@given(st.binary(), st.none() | st.binary())
def test_whatever_comes_an_id_is_valid_or_none(query: bytes, header: bytes | None) -> None:
    identifier = check_identifier(find_identifier(query, header))
    assert identifier is None or (0 < len(identifier) <= 128 and set(identifier) <= set(VISIBLE))


# SHA-256 of "secret", as `printf secret | sha256sum` prints it.
HASH = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"


@pytest.mark.parametrize(
    ("identifier", "shared"),
    [
        ("own~secret", f"see~{HASH}"),
        (f"see~{HASH}", f"see~{HASH}"),
        ("own~", f"see~{hashlib.sha256(b'').hexdigest()}"),
        ("own~own~a", f"see~{hashlib.sha256(b'own~a').hexdigest()}"),
        ("plain", "plain"),
        ("own", "own"),
        ("Own~secret", "Own~secret"),
        ("a-own~secret", "a-own~secret"),
    ],
)
def test_the_shared_form_of_an_id(identifier: str, shared: str) -> None:
    assert shared_form(identifier) == shared


@given(st.text(VISIBLE, min_size=1, max_size=128))
def test_the_shared_form_is_a_valid_id_and_its_own_shared_form(identifier: str) -> None:
    shared = shared_form(identifier)
    assert check_identifier(shared.encode()) == shared
    assert shared_form(shared) == shared


@pytest.mark.parametrize(
    ("identifier", "only_looks"),
    [("see~a", True), ("see~", True), ("own~a", False), ("See~a", False), ("plain", False)],
)
def test_which_ids_let_one_only_look(identifier: str, only_looks: bool) -> None:
    assert lets_only_look(identifier) is only_looks


@pytest.mark.parametrize(
    ("query", "header", "found"),
    [
        (b"X-Progress-ID=own~secret", None, f"see~{HASH}"),
        (b"X-Progress-ID=own%7Esecret", None, f"see~{HASH}"),
        (b"", b"own~secret", f"see~{HASH}"),
        (f"X-Progress-ID=see~{HASH}".encode(), None, f"see~{HASH}"),
        (b"X-Progress-ID=plain", None, "plain"),
        (b"a=" + b"b" * 60_000 + b"&X-Progress-ID=plain", None, "plain"),
        (b"X-Progress-ID=" + b"b" * 129, None, None),
        (b"", None, None),
    ],
)
def test_which_id_is_looked_up(query: bytes, header: bytes | None, found: str | None) -> None:
    assert identify(query, header) == found


def test_long_questions_are_not_remembered() -> None:
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(1100):
        identify(b"a=%d&b=" % number + bytes(60_000) + b"&X-Progress-ID=a", None)
        identify(b"", b"%d" % number + bytes(60_000))
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 1_000_000


@pytest.mark.parametrize(
    ("identifier", "shown"),
    [
        ("0123456789", "01234567..."),
        ("01234567", "01234567"),
        ("own~0123456789", "own~01234567..."),
        ("see~0123456789", "see~01234567..."),
        ("own~01234567", "own~01234567"),
        ("", ""),
    ],
)
def test_a_log_shows_the_beginning_of_an_id(identifier: str, shown: str) -> None:
    assert shorten(identifier) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (b"/a?X-Progress-ID=0123456789", b"/a?X-Progress-ID=01234567..."),
        (b"/a?b=c&x-progress-id=0123456789&d=e", b"/a?b=c&x-progress-id=01234567...&d=e"),
        (b"X%2dProgress%2DID=own~0123456789", b"X%2dProgress%2DID=own~01234567..."),
        (
            b"https://a.example/?X-Progress-ID=own%7E0123",
            b"https://a.example/?X-Progress-ID=own%7E01...",
        ),
        (
            b"?X-Progress-ID=0123456789&X-Progress-ID=9876543210",
            b"?X-Progress-ID=01234567...&X-Progress-ID=98765432...",
        ),
        (b"?X-Progress-ID=0123456\xff89", b"?X-Progress-ID=0123456\xff..."),
        (b"/X-Progress-ID=0123456789", b"/X-Progress-ID=0123456789"),
        (b"/?id=0123456789", b"/?id=0123456789"),
        (b"/a/x-progress-id:0123456789?b", b"/a/x-progress-id:01234567...?b"),
        (b"/X-Progress-Id%3A0123456789/b", b"/X-Progress-Id%3A01234567.../b"),
        (b"/up/own~0123456789?b", b"/up/own~01234567...?b"),
        (b"/up/see~0123456789/b", b"/up/see~01234567.../b"),
        (b"http://a/x-progress-id:own~0123456789", b"http://a/x-progress-id:own~01234567..."),
    ],
)
def test_a_log_shows_a_url_without_whole_ids(url: bytes, shown: bytes) -> None:
    assert shorten_in_url(url) == shown


@pytest.mark.parametrize(
    ("url", "identifier", "shown"),
    [
        (b"/a-0123456789-b?0123456789", b"0123456789", b"/a-01234567...-b?01234567..."),
        (b"/%30123456789", b"0123456789", b"/%3012345..."),
        (b"/a%2fb%2B%2bcdefghi", b"a/b++cdefghi", b"/a%2fb%2B..."),
        (b"/01234567", b"01234567", b"/01234567"),
        (b"/own~0123456789", b"own~0123456789", b"/own~01234567..."),
        (b"/", b"", b"/"),
    ],
)
def test_a_log_shows_no_id_that_is_known_whole(url: bytes, identifier: bytes, shown: bytes) -> None:
    assert shorten_in_url(url, [identifier]) == shown


@given(st.text(VISIBLE, min_size=1, max_size=128), st.binary())
def test_an_id_from_elsewhere_counts_before_that_of_the_query(
    identifier: str, query: bytes
) -> None:
    assert find_identifier(name_in_query(identifier.encode(), query), None) == identifier.encode()


@pytest.mark.parametrize(
    ("identifier", "shown"),
    [
        ("0123456789abcdef", "01234567..."),
        ("0123456789", "01234..."),
        ("mine", "mi..."),
        ("a", "..."),
        ("own~0123456789abcdef", "own~01234567..."),
        (f"see~{HASH}", f"see~{HASH[:8]}..."),
        ("own~secret", "own~sec..."),
    ],
)
def test_an_obscured_id_shows_half_of_it_at_most(identifier: str, shown: str) -> None:
    assert obscure(identifier) == shown


@pytest.mark.parametrize(
    ("path", "identifier", "shown"),
    [
        ("/upload", "0123456789abcdef", "/upload"),
        ("/of-0123456789abcdef.bin", "0123456789abcdef", "/of-01234567....bin"),
        ("/upload/mine", "mine", "/upload/mi..."),
        ("/mine/mines", "mine", "/mi.../mines"),
        ("/a.c/abc", "a.c", "/a.../abc"),
        ("/own~secret/see~secret", "other", "/own~sec.../see~sec..."),
        ("/x&X-Progress-ID=secret&y", "other", "/x&X-Progress-ID=sec...&y"),
        ("/a-mine/mine.bin", "mine", "/a-mi.../mi....bin"),
        ("/x-progress-id:secret/y", "other", "/x-progress-id:sec.../y"),
        ("/upload", "", "/upload"),
    ],
)
def test_no_id_is_whole_in_an_obscured_path(path: str, identifier: str, shown: str) -> None:
    assert obscure_in_path(path.encode(), identifier) == shown.encode()
