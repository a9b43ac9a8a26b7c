from __future__ import annotations

from mod_progress.gateway.streams.patience import Patience


def test_silence_uses_it_up() -> None:
    patience = Patience(span=10.0, rate=100)
    assert patience.begin(0.0, 0) == 10.0
    patience.end(4.0)
    assert patience.begin(100.0, 0) == 106.0


def test_bytes_earn_it_back_at_the_rate() -> None:
    patience = Patience(span=10.0, rate=100)
    patience.begin(0.0, 0)
    patience.end(4.0)
    assert patience.begin(4.0, 300) == 4.0 + 6.0 + 3.0


def test_it_never_exceeds_the_span() -> None:
    patience = Patience(span=10.0, rate=100)
    patience.begin(0.0, 0)
    patience.end(1.0)
    assert patience.begin(1.0, 1_000_000) == 11.0


def test_an_end_without_a_beginning_is_nothing() -> None:
    patience = Patience(span=10.0, rate=100)
    patience.end(5.0)
    assert patience.begin(5.0, 0) == 15.0


def test_a_drip_lasts_little_longer_than_silence() -> None:
    patience = Patience(span=10.0, rate=100)
    now, received = 0.0, 0
    while patience.begin(now, received) > now + 1:
        now, received = now + 1, received + 1
        patience.end(now)
    assert 9 <= now <= 11
