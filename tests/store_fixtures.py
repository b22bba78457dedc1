"""Stores that files go to: one in memory, and an S3 server on this machine."""

from collections.abc import Iterator
from uuid import uuid4

import pytest


@pytest.fixture
def store() -> str:
    """The URL of an empty folder in fsspec's store in memory."""
    return f"memory://{uuid4().hex}"


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of an S3 server."""
    server = pytest.importorskip("moto.server", reason="needs moto[server], an S3 server on this machine")
    s3fs = pytest.importorskip("s3fs", reason="needs s3fs, a client of S3")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    s3fs.S3FileSystem.clear_instance_cache()  # an instance keeps the server that it was made for
    yield "http://{}:{}".format(*running.get_host_and_port())
    s3fs.S3FileSystem.clear_instance_cache()
    running.stop()


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a new bucket. This process, and those that it starts, know its server only."""
    from s3fs import S3FileSystem

    variables = {"ENDPOINT_URL": s3_server, "ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test"}
    variables |= {"DEFAULT_REGION": "us-east-1", "EC2_METADATA_DISABLED": "true"}
    variables |= dict.fromkeys(["CONFIG_FILE", "SHARED_CREDENTIALS_FILE"], "absent")
    for name, value in variables.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    name = f"bucket-{uuid4().hex}"
    S3FileSystem().mkdir(name)
    return f"s3://{name}"


@pytest.fixture(params=["store", pytest.param("bucket", marks=pytest.mark.integration)])
def any_store(request: pytest.FixtureRequest) -> str:
    """The URL of an empty folder, in each store."""
    return request.getfixturevalue(request.param)
