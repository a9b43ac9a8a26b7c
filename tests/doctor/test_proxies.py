from __future__ import annotations

from email.message import Message

import pytest

from mod_progress.doctor.proxies import SETTINGS, Harm, advise_against, find_proxies


def fields(*named: tuple[str, str]) -> Message:
    message = Message()
    for name, value in named:
        message[name] = value
    return message


#: It reaches the client, so no nginx has taken it out.
PASSED = ("X-Accel-Buffering", "no")


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ([PASSED], {}),
        ([PASSED, ("Server", "uvicorn"), ("Via", "1.1 mod_progress")], {}),
        ([PASSED, ("Server", "notnginxatall")], {}),
        ([("Server", "nginx/1.22.1")], {"nginx": "Server: nginx/1.22.1"}),
        ([PASSED, ("server", "nginx")], {"nginx": "Server: nginx"}),
        (
            [PASSED, ("Via", "1.1 mod_progress"), ("Via", "1.1 varnish (Varnish/7.1)")],
            {"Varnish": "Via: 1.1 varnish (Varnish/7.1)"},
        ),
        (
            [("Server", "cloudflare")],
            {
                "Cloudflare": "Server: cloudflare",
                "nginx": "it takes out X-Accel-Buffering, which is missing",
            },
        ),
        ([PASSED, ("Server", "Apache/2.4.71")], {"Apache": "Server: Apache/2.4.71"}),
        ([PASSED, ("Server", "Caddy")], {"Caddy": "Server: Caddy"}),
        (
            [PASSED, ("Server", "Microsoft-IIS/10.0")],
            {"Microsoft-IIS": "Server: Microsoft-IIS/10.0"},
        ),
    ],
)
def test_which_proxies_an_answer_tells_of(
    said: list[tuple[str, str]], found: dict[str, str]
) -> None:
    assert find_proxies(fields(*said)) == found


def test_the_advice_is_for_the_proxy_that_is_named() -> None:
    (advice,) = advise_against(Harm.CUT, fields(PASSED, ("Server", "{}nginx")), "/progress")
    assert advice == "nginx (Server: {}nginx): " + SETTINGS["nginx"][Harm.CUT]


def test_one_that_does_no_such_harm_is_not_to_blame() -> None:
    """Another is behind it, which says its name nowhere."""
    advice = advise_against(Harm.HELD, fields(PASSED, ("Server", "Caddy")), "/progress")
    assert [each.partition(":")[0] for each in advice] == [
        name for name, settings in SETTINGS.items() if Harm.HELD in settings
    ]
