from __future__ import annotations

import re

import pytest

from mod_progress.gateway.files.media_types import (
    LOADABLE,
    MEDIA_TYPES,
    UNKNOWN,
    is_document,
    media_type,
    with_charset,
)


@pytest.mark.parametrize(
    ("extension", "expected"),
    [
        (".html", "text/html"),
        (".HTM", "text/html"),
        (".js", "text/javascript"),
        (".mjs", "text/javascript"),
        (".css", "text/css"),
        (".json", "application/json"),
        (".webmanifest", "application/manifest+json"),
        (".wasm", "application/wasm"),
        (".svg", "image/svg+xml"),
        (".webp", "image/webp"),
        (".avif", "image/avif"),
        (".ico", "image/vnd.microsoft.icon"),
        (".woff2", "font/woff2"),
        (".mp4", "video/mp4"),
        (".webm", "video/webm"),
        (".opus", "audio/ogg"),
        (".pdf", "application/pdf"),
        (".gz", "application/gzip"),
        (".zst", "application/zstd"),
        (".md", "text/markdown"),
        (".unheard-of", UNKNOWN),
        (".exe", UNKNOWN),
        ("", UNKNOWN),
        (".", UNKNOWN),
    ],
)
def test_an_extension_has_its_media_type(extension: str, expected: str) -> None:
    assert media_type(extension) == expected


def test_the_table_is_well_formed() -> None:
    assert len(MEDIA_TYPES) > 150
    for extension, kind in MEDIA_TYPES.items():
        assert re.fullmatch(r"\.[a-z0-9]+", extension), extension
        top = r"(?:application|audio|font|image|message|model|text|video)"
        assert re.fullmatch(rf"{top}/[a-z0-9][a-z0-9.+-]*", kind), kind


def test_what_can_be_loaded_is_in_the_table() -> None:
    assert LOADABLE.issubset(MEDIA_TYPES.values())


@pytest.mark.parametrize(
    ("extension", "document"),
    [
        (".html", True),
        (".xhtml", True),
        (".svg", True),
        (".xml", True),
        (".rss", True),
        (".txt", False),
        (".js", False),
        (".png", False),
        (".pdf", False),
        (".docx", False),
    ],
)
def test_a_document_may_have_scripts(extension: str, document: bool) -> None:
    assert is_document(media_type(extension)) is document


def test_texts_are_in_utf_8() -> None:
    assert with_charset("text/html") == "text/html; charset=utf-8"
    assert with_charset("application/json") == "application/json"
