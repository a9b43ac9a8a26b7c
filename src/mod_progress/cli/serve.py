"""``mod-progress serve``: the gateway."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from mod_progress.cli.arguments import Parser, seconds, whole_number
from mod_progress.cli.json_log import JsonFormatter
from mod_progress.cli.terminal import LogFormatter, complain, tell
from mod_progress.config import InvalidConfig, load
from mod_progress.gateway.backends.http import HttpBackend
from mod_progress.gateway.exchange import Action
from mod_progress.gateway.server import preset
from mod_progress.gateway.server.generation import ReloadError
from mod_progress.gateway.server.listening import ListenError
from mod_progress.gateway.server.site import AccessLog, Listener, Site, Tls
from mod_progress.gateway.server.supervisor import Supervisor
from mod_progress.options import MissingExtraError, OptionError, Options
from mod_progress.stores import open_store

logger = logging.getLogger("mod_progress.gateway")

DEFAULT_LISTEN = "127.0.0.1:8080"
DEFAULT_STORE = "./uploads"


def add_arguments(parser: Parser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("config", metavar="CONFIG", nargs="?", type=Path, help="a configuration file")
    add(
        "--listen",
        metavar="ADDRESS",
        action="append",
        help=f"host:port, unix:/path or systemd:name, default {DEFAULT_LISTEN}; may be repeated",
    )
    add("--workers", metavar="N", type=whole_number(1), help="how many processes serve")
    add("--proxy", metavar="ADDRESS", help="the backend: host:port or unix:/path")
    add("--store", metavar="DIRECTORY", help=f"where uploads are saved, default {DEFAULT_STORE}")
    add("--track", metavar="PATH", help="the path whose requests are tracked")
    add("--show", metavar="PATH", help="the path that shows the progress")
    add(
        "--ttl",
        metavar="SECONDS",
        type=seconds(0),
        help="how long a finished transfer can be read, default 30",
    )
    add(
        "--methods",
        metavar="METHOD",
        action="append",
        help="a method that is tracked, default POST; may be repeated",
    )
    add(
        "--debug",
        action="store_const",
        const=True,
        help="log why a request is tracked or not",
    )
    add(
        "--server-timing",
        action="store_const",
        const=True,
        help="say in the field Server-Timing how long a tracked request took",
    )
    add(
        "--store-url",
        metavar="STORE",
        help="what processes share: local, local:NAME, memory, or redis://… and the like; "
        "env:NAME and file:PATH take it from a variable or a file, which keeps a password "
        "from the list of processes",
    )
    add("--user", metavar="NAME", help="whom the workers run as, if root starts them")
    add("--group", metavar="NAME", help="their group, if not the user's own")
    add("--tls-cert", metavar="FILE", type=Path, help="a certificate chain, PEM")
    add("--tls-key", metavar="FILE", type=Path, help="its key, if that is in another file")
    add("--access-log", metavar="FILE", type=Path, help="where each request is noted")
    add(
        "--log-format",
        choices=("text", "json"),
        default="text",
        help="how the command's own log is written, to the standard error; default text",
    )


def run(arguments: Namespace) -> int:
    """Serve until a signal ends it; return the exit code."""
    as_json = vars(arguments).pop("log_format") == "json"
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if as_json else LogFormatter())
    logging.basicConfig(handlers=[handler])
    logging.getLogger("mod_progress").setLevel(logging.DEBUG)
    fail = logger.critical if as_json else complain
    flags = Flags(**vars(arguments))
    try:
        flags.check()
        supervisor = Supervisor(flags.load)
        urls = supervisor.bind()
    except (FlagError, MissingExtraError) as error:
        fail(str(error))
        return 2
    except (ReloadError, ListenError) as error:
        fail(str(error))
        return 1
    for line in flags.describe(supervisor.site):
        logger.info("%s", line)
    for url in urls:
        tell(url)
    supervisor.run()
    return 0


class FlagError(Exception):
    """The flags are wrong; the message says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What the command line says about the site; None where it says nothing."""

    config: Path | None
    listen: list[str] | None
    workers: int | None
    proxy: str | None
    store: str | None
    track: str | None
    show: str | None
    ttl: float | None
    methods: list[str] | None
    debug: bool | None
    server_timing: bool | None
    store_url: str | None
    tls_cert: Path | None
    tls_key: Path | None
    access_log: Path | None
    user: str | None
    group: str | None

    def check(self) -> None:
        """Raise `FlagError` for a wrong flag, or flags that contradict each other."""
        if self.config is not None and (self.proxy or self.store or self.track or self.show):
            raise FlagError(
                "--proxy, --store, --track and --show are for use without a configuration file"
            )
        if self.proxy and self.store:
            raise FlagError("--proxy and --store exclude each other")
        if self.tls_key and not self.tls_cert:
            raise FlagError("--tls-key needs --tls-cert")
        for name, path in (("--track", self.track), ("--show", self.show)):
            if path is not None and not path.startswith("/"):
                raise FlagError(f"{name} {path}: a path starts with /")
        try:
            self._options(Options())
            self._preset()
        except OptionError as error:
            raise FlagError(f"--{error}") from None
        except ValueError as error:
            raise FlagError(f"--proxy {error}") from None

    def load(self) -> Site:
        """Return the site of the file, or the preset, changed by the flags.

        Raises `ReloadError`, or `MissingExtraError` for a store whose extra is not installed.
        """
        try:
            site = Site(action=self._preset()) if self.config is None else load(self.config)
            open_store(self.store_url or site.store)
        except MissingExtraError:
            raise
        except (InvalidConfig, OptionError) as error:
            raise ReloadError(str(error)) from None
        tls = self._tls()
        if self.listen or tls or not site.listeners:
            listeners = tuple(Listener(each, tls) for each in self.listen or [DEFAULT_LISTEN])
            site = replace(site, listeners=listeners)
        if self.access_log is not None:
            site = replace(site, access_log=AccessLog(str(self.access_log)))
        return replace(
            site,
            workers=self.workers or site.workers,
            user=self.user or site.user,
            group=self.group or site.group,
            store=self.store_url or site.store,
            options=self._options(site.options),
        )

    def describe(self, site: Site) -> Iterator[str]:
        """Yield in a few lines what the site serves; no password is in them."""
        show = self.show or preset.SHOW_PATH
        if self.config is not None:
            yield f"configuration: {self.config}"
        elif self.proxy is not None:
            yield f"requests go to {self.proxy}; tracked: {self.track or '/'}, progress: {show}"
        else:
            yield f"a page to upload files to {self.store or DEFAULT_STORE}; progress: {show}"
        user = f" as {site.user}" if site.user else ""
        # The rest of a store's name may be a password.
        store = site.store.partition("://")[0]
        log = f", access log: {site.access_log.path}" if site.access_log else ""
        yield f"workers: {site.workers}{user}, store: {store}{log}"

    def _preset(self) -> Action:
        show = self.show or preset.SHOW_PATH
        if self.proxy is not None:
            return preset.proxying(HttpBackend(self.proxy), self.track or "/", show)
        track = self.track or preset.UPLOAD_PATH
        methods = None if self.methods else frozenset({"POST", "PUT"})
        return preset.storing(self.store or DEFAULT_STORE, track, show, methods)

    def _options(self, options: Options) -> Options:
        return Options(
            ttl=options.ttl if self.ttl is None else self.ttl,
            methods=frozenset(self.methods) if self.methods else options.methods,
            debug=options.debug if self.debug is None else self.debug,
            server_timing=(
                options.server_timing if self.server_timing is None else self.server_timing
            ),
        )

    def _tls(self) -> Tls | None:
        if self.tls_cert is None:
            return None
        return Tls(str(self.tls_cert), str(self.tls_key or self.tls_cert))
