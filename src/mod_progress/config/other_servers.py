"""What directives of nginx and Apache are called here, for whoever comes from there."""

from __future__ import annotations

from collections.abc import Iterable

from mod_progress.config.errors import nearest

#: Our directive by the other name, where the two are not alike. docs/moving-nginx.md and
#: docs/moving-apache.md say more.
OUR_NAMES = {
    # nginx
    "track_uploads": "progress.track",
    "report_uploads": "progress.show",
    "ssl_certificate": "openssl",
    "proxy_set_header": "req_header.overwrite",
    "try_files": "pathinfo",
    "deny": "access.deny",
    "set_real_ip_from": "forwarded.trust",
    "return": "respond",
    "add_header": "header.add",
    "proxy_hide_header": "header.remove",
    # Apache
    "TrackUploads": "progress.track",
    "ReportUploads": "progress.show",
    "SSLCertificateFile": "openssl",
    "ProxyPass": "proxy",
    "DocumentRoot": "docroot",
    "DirectoryIndex": "index",
    "LimitRequestBody": "limits.body_size",
    "AuthUserFile": "auth.basic",
    "RemoteIPInternalProxy": "forwarded.trust",
    "CustomLog": "accesslog",
}


def meant_directive(name: str, known: Iterable[str]) -> str:
    """Return the directive that ``name`` was probably meant to be, or an empty string."""
    return OUR_NAMES.get(name) or nearest(name, known)
