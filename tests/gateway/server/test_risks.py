from __future__ import annotations

import os
import socket
import ssl
from contextlib import ExitStack
from ipaddress import ip_network
from pathlib import Path

import bcrypt
import pytest

from mod_progress.gateway.actions.answers import Respond
from mod_progress.gateway.actions.basic_auth import BasicAuth
from mod_progress.gateway.actions.flow import ActionList, Choose, If
from mod_progress.gateway.exchange import Action
from mod_progress.gateway.files.uploads import StoreUploads
from mod_progress.gateway.server.generation import Generation
from mod_progress.gateway.server.identity import Identity
from mod_progress.gateway.server.listening import bind
from mod_progress.gateway.server.risks import risks
from mod_progress.gateway.server.site import Site
from tests.gateway.running import eventually
from tests.gateway.serving import Serve

NOTHING = Respond(200)
UPLOADS = StoreUploads("/nowhere")
OWN = Identity(os.geteuid(), os.getegid(), ())


def said(
    action: Action,
    address: str,
    *,
    tls: ssl.SSLContext | None = None,
    trusted: str = "",
    store: str = "local",
    identity: Identity | None = OWN,
) -> list[str]:
    """Return the risks of two workers, each with the port it is about as PORT."""
    networks = (ip_network(trusted),) if trusted else ()
    site = Site(action=action, workers=2, store=store, trusted=networks)
    with ExitStack() as stack:
        sockets = [stack.enter_context(each) for each in bind(address)]
        generation = Generation(site, identity, tuple((each, tls) for each in sockets))
        port = str(sockets[0].getsockname()[1]) if sockets[0].family != socket.AF_UNIX else "PORT"
        return [risk.replace(port, "PORT") for risk in risks(generation)]


@pytest.mark.parametrize(
    "action",
    [
        UPLOADS,
        ActionList((NOTHING, UPLOADS)),
        If(bool, NOTHING, UPLOADS),
        Choose(((bool, NOTHING), (bool, If(bool, UPLOADS)))),
        Choose(((bool, NOTHING),), ActionList((UPLOADS, UPLOADS))),
    ],
)
def test_uploads_that_others_can_read(action: Action) -> None:
    (risk,) = said(action, "*:0")
    assert risk == (
        "0.0.0.0:PORT takes files from other machines without TLS: "
        "use openssl or --tls-cert, or listen on 127.0.0.1"
    )


def test_passwords_that_others_can_read() -> None:
    passwords = BasicAuth({b"me": bcrypt.hashpw(b"secret", bcrypt.gensalt(4))}, "")
    (risk,) = said(ActionList((passwords, UPLOADS)), "[::]:0")
    assert risk.startswith("[::]:PORT takes files and passwords from other machines without TLS")


def test_what_is_no_risk(tmp_path: Path) -> None:
    assert said(NOTHING, "*:0") == []
    assert said(UPLOADS, "127.0.0.1:0") == []
    assert said(UPLOADS, "[::1]:0") == []
    assert said(UPLOADS, f"unix:{tmp_path}/socket") == []
    assert said(UPLOADS, "*:0", tls=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)) == []
    assert said(UPLOADS, "*:0", trusted="192.0.2.1") == []


def test_workers_that_know_nothing_of_each_other() -> None:
    (risk,) = said(NOTHING, "127.0.0.1:0", store="memory")
    assert risk.startswith("the store is memory: each of 2 workers shows its own transfers alone")


@pytest.mark.parametrize(("user", "root"), [(0, True), (1000, False)])
def test_workers_of_root(monkeypatch: pytest.MonkeyPatch, user: int, root: bool) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    found = said(NOTHING, "127.0.0.1:0", identity=None)
    assert found == ["workers run as root: name another user by --user, or user in setup"] * root


def test_a_risk_is_said_once(serve: Serve) -> None:
    text = """setup { module_load "mod_progress"; listen "127.0.0.1:0"; workers 2; }
    setup { progress.store "memory"; } respond "a";"""
    serving = serve(text)
    eventually(lambda: serving.said("the store is memory"))
    serving.reload(text + "setup { workers 3; }")
    eventually(lambda: serving.said("each of 3 workers"))
    serving.reload(text)
    assert sum("each of 2 workers" in line for line in serving.log) == 1
