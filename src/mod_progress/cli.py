"""The command line: ``mod-progress serve``, ``mod-progress check``."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from mod_progress import __version__
from mod_progress.config import InvalidConfig
from mod_progress.config import check as check_config
from mod_progress.config import load as load_config
from mod_progress.doctor import main as examine
from mod_progress.gateway.backends.http import HttpBackend
from mod_progress.gateway.exchange import Action
from mod_progress.gateway.server import preset
from mod_progress.gateway.server.listening import ListenError
from mod_progress.gateway.server.site import AccessLog, Listener, Site, Tls
from mod_progress.gateway.server.supervisor import ReloadError, Supervisor
from mod_progress.options import OptionError, Options
from mod_progress.stores import open_store

DEFAULT_LISTEN = "127.0.0.1:8080"
DEFAULT_STORE = "./uploads"

app = typer.Typer(
    help="How far is that transfer? Track uploads and downloads, and show their progress.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_out = Console(highlight=False, soft_wrap=True)
_err = Console(stderr=True, highlight=False, soft_wrap=True)


def main() -> None:
    """Run the command line; what is wrong with it is said in one line."""
    try:
        sys.exit(app(prog_name="mod-progress", standalone_mode=False))
    except typer.TyperException as error:
        tell = getattr(error, "format_message", error.__str__)
        _err.print(f"mod-progress: {tell()}", markup=False)
        sys.exit(2)


def _version(asked: bool) -> None:
    if asked:
        _out.print(f"mod-progress {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flags:
    """What the command line says of a site."""

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
    store_url: str | None
    tls_cert: Path | None
    tls_key: Path | None
    access_log: Path | None

    def check(self) -> None:
        """Raise `_Misuse` for flags that make no sense together, or alone."""
        if self.config is not None and (self.proxy or self.store or self.track or self.show):
            raise _Misuse("--proxy, --store, --track and --show are said by the configuration file")
        if self.proxy and self.store:
            raise _Misuse("--proxy and --store exclude each other")
        if self.tls_key and not self.tls_cert:
            raise _Misuse("--tls-key needs --tls-cert")
        for name, path in (("--track", self.track), ("--show", self.show)):
            if path is not None and not path.startswith("/"):
                raise _Misuse(f"{name} {path}: a path starts with /")
        try:
            self._options(Options())
            self._preset()
        except OptionError as error:
            raise _Misuse(f"--{error}") from None
        except ValueError as error:
            raise _Misuse(f"--proxy {error}") from None

    def load(self) -> Site:
        """Return the site, with the flags laid over the file; raises `ReloadError`."""
        try:
            site = Site(action=self._preset()) if self.config is None else load_config(self.config)
            open_store(self.store_url or site.store)
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
            store=self.store_url or site.store,
            options=self._options(site.options),
        )

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
        )

    def _tls(self) -> Tls | None:
        if self.tls_cert is None:
            return None
        return Tls(str(self.tls_cert), str(self.tls_key or self.tls_cert))


class _Misuse(Exception):
    """The flags are wrong; the message says which."""


@app.command()
def serve(
    config: Annotated[Path | None, typer.Argument(help="A configuration file.")] = None,
    listen: Annotated[
        list[str] | None, typer.Option(help="host:port or unix:/path; may be repeated.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that serve.")] = None,
    proxy: Annotated[str | None, typer.Option(help="The backend: host:port or unix:/path.")] = None,
    store: Annotated[str | None, typer.Option(help="The directory that uploads go to.")] = None,
    track: Annotated[str | None, typer.Option(help="The path whose requests are tracked.")] = None,
    show: Annotated[str | None, typer.Option(help="The path that tells the progress.")] = None,
    ttl: Annotated[
        float | None, typer.Option(help="Seconds for which an end can be read (30).")
    ] = None,
    methods: Annotated[
        list[str] | None, typer.Option(help="A method to track (POST); may be repeated.")
    ] = None,
    debug: Annotated[
        bool | None, typer.Option("--debug", help="Log why a request is tracked or not.")
    ] = None,
    store_url: Annotated[
        str | None, typer.Option(help="What processes share: local, local:NAME, memory, redis://…")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="A certificate chain, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key, if in a file of its own.")] = None,
    access_log: Annotated[Path | None, typer.Option(help="Where each request is noted.")] = None,
) -> None:
    """Serve a configuration; or a backend; or, with neither, a page to upload files with."""
    flags = _Flags(**locals())
    logging.basicConfig(format="%(message)s")
    logging.getLogger("mod_progress").setLevel(logging.DEBUG)
    try:
        flags.check()
        supervisor = Supervisor(flags.load)
        urls = supervisor.bind()
    except _Misuse as misuse:
        _fail(str(misuse), 2)
    except (ReloadError, ListenError) as error:
        _fail(str(error), 1)
    for url in urls:
        _out.print(url)
    supervisor.run()


@app.command()
def check(config: Annotated[Path, typer.Argument(help="A configuration file.")]) -> None:
    """Say whether a configuration is right, or all that is wrong with it."""
    errors = check_config(config)
    for error in errors:
        _err.print(str(error), markup=False)
    if errors:
        raise typer.Exit(1)
    _out.print("ok")


@app.command()
def doctor(
    url: Annotated[str, typer.Argument(help="Where the app takes uploads.")],
    show: Annotated[str, typer.Option(help="The path that tells the progress.")] = "/progress",
    origin: Annotated[
        str | None, typer.Option(help="The origin of a page that is to read it, if another.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.5, help="For how long to upload.")] = 4.0,
) -> None:
    """Upload to a running app, watch it, and say in plain words what is wrong."""
    raise typer.Exit(examine(url, show=show, origin=origin, seconds=seconds))


def _fail(why: str, code: int) -> NoReturn:
    _err.print(f"mod-progress: {why}", markup=False)
    raise typer.Exit(code)
