from __future__ import annotations

from tests.gateway.conftest import certificate, tls

__all__ = ["certificate", "tls"]
