"""The command line: ``mod-progress serve``, ``mod-progress check``."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from mod_progress import __version__
from mod_progress.config import InvalidConfig
from mod_progress.config import check as check_config
from mod_progress.config import load as load_config
from mod_progress.doctor import main as examine
from mod_progress.gateway import preset
from mod_progress.gateway.actions import Action
from mod_progress.gateway.listening import ListenError
from mod_progress.gateway.site import AccessLog, Listener, Site, Tls
from mod_progress.gateway.supervisor import ReloadError, Supervisor
from mod_progress.gateway.upstream import Upstream
from mod_progress.options import OptionError
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
    store_url: Annotated[
        str | None, typer.Option(help="What processes share: local, local:NAME, memory, redis://…")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="A certificate chain, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key, if in a file of its own.")] = None,
    access_log: Annotated[Path | None, typer.Option(help="Where each request is noted.")] = None,
) -> None:
    """Serve a configuration; or a backend; or, with neither, a page to upload files with."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("mod_progress").setLevel(logging.DEBUG)
    if config is not None and (proxy or store or track or show):
        _fail("--proxy, --store, --track and --show are said by the configuration file", 2)
    if proxy and store:
        _fail("--proxy and --store exclude each other", 2)
    if tls_key and not tls_cert:
        _fail("--tls-key needs --tls-cert", 2)
    tls = Tls(str(tls_cert), str(tls_key or tls_cert)) if tls_cert else None

    def load() -> Site:
        if config is None:
            site = Site(action=_preset(proxy, store, track, show))
        else:
            try:
                site = load_config(config)
            except InvalidConfig as invalid:
                raise ReloadError(str(invalid)) from None
        if listen or tls or not site.listeners:
            site = replace(
                site, listeners=tuple(Listener(each, tls) for each in listen or [DEFAULT_LISTEN])
            )
        if access_log is not None:
            site = replace(site, access_log=AccessLog(str(access_log)))
        try:
            open_store(store_url or site.store)
        except OptionError as error:
            raise ReloadError(str(error)) from None
        return replace(site, workers=workers or site.workers, store=store_url or site.store)

    try:
        supervisor = Supervisor(load)
        addresses = supervisor.bind()
    except (ReloadError, ListenError) as error:
        _fail(str(error), 1)
    scheme = "https" if tls else "http"
    for address in addresses:
        _out.print(address if address.startswith("unix:") else f"{scheme}://{address}/")
    supervisor.run()


def _preset(proxy: str | None, store: str | None, track: str | None, show: str | None) -> Action:
    for name, path in (("--track", track), ("--show", show)):
        if path is not None and not path.startswith("/"):
            _fail(f"{name} {path}: a path starts with /", 2)
    show = show or preset.SHOW_PATH
    if proxy is None:
        return preset.storing(store or DEFAULT_STORE, track or preset.UPLOAD_PATH, show)
    try:
        return preset.proxying(Upstream(proxy), track or "/", show)
    except ValueError as error:
        _fail(f"--proxy {error}", 2)


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
