from collections.abc import Iterator

import pytest

from tests.servers.running import SERVERS, Server, serve


@pytest.fixture(scope="module", params=SERVERS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Each of the servers in turn, for all tests of a file."""
    with serve(request.param, tmp_path_factory.mktemp("server")) as running:
        yield running
