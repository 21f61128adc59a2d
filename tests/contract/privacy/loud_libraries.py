"""Makes each library say all it can about a marker: `python loud_libraries.py redacted|bare`, against loopback servers.

Everything is at DEBUG and every logger has a handler that prints whole records. `redacted` does first what the command
does when it starts. stdout and stderr are what a test reads.
"""

# ruff: noqa: PLC0415 - what loads a library early decides what it logs, so each loads where it speaks
# ruff: noqa: TRY301 - errors are raised to be seen

import asyncio
import gc
import logging
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

import structlog

from jobs.cli.output import start_logging
from jobs.privacy.redaction import redact_uncaught_errors


def marker(library: str) -> str:
    """What must not be shown of a library's call, in a form that no encoding changes."""
    return f"planted0{library.replace('-', '0')}"


# ── the libraries ────────────────────────────────────────────────────────────────────────────────


def _urllib3(said: str) -> None:
    import requests

    server = _local().Server()
    server.say_bytes(said.encode(), 500, {"X-Trace": said})
    requests.post(f"{server.url}/{said}?email={said}", data=said, headers={"Authorization": said}, timeout=5)
    server.close()


def _httpx(said: str) -> None:
    import httpx

    server = _local().Server()
    server.say_bytes(said.encode(), 500, {"X-Trace": said})
    answer = httpx.post(f"{server.url}/{said}?email={said}", content=said, headers={"Authorization": said})
    with suppress(httpx.HTTPStatusError):
        answer.raise_for_status()
    server.close()


def _google_ads(said: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ads = _local().AdsApi(Path(folder), _private_key())
        ads.tokens.say({"access_token": said, "expires_in": 3600, "token_type": "Bearer"})
        _shout()  # connectors silence what they know
        ads.sink.submit(ads.target, [_frozen(ads, ads.event(gclid=said))])
        ads.close()


def _google_auth(said: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        google = _local().Google(Path(folder), _private_key())
        google.tokens.say({"error": "invalid_grant", "error_description": said}, 400)
        google.options.key_file.write_text(
            google.options.key_file.read_text().replace("sync@invented", f"{said}@invented")
        )
        google.use()
        _shout()
        with suppress(Exception):
            google.sink.submit(google.target, [_frozen(google, google.event())])
        google.close()


def _google_datamanager(said: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        google = _local().Google(Path(folder), _private_key())
        google.tokens.say({"access_token": said, "expires_in": 3600, "token_type": "Bearer"})
        google.refuse(400, "INVALID_ARGUMENT", headers={"X-Trace": said})
        _shout()
        google.sink.submit(replace(google.target, action=said), [_frozen(google, google.event())])
        google.close()


def _grpc(said: str) -> None:
    import grpc

    server = _local().Server()
    channel = grpc.insecure_channel(server.url.removeprefix("http://"))
    with suppress(grpc.RpcError):
        channel.unary_unary(f"/service/{said}")(b"", metadata=(("authorization", said),), timeout=2)
    channel.close()
    server.close()


def _facebook_business(said: str) -> None:
    from facebook_business.api import FacebookAdsApi
    from facebook_business.session import FacebookSession

    server = _local().Server()
    server.say({"error": {"message": said, "code": 100, "type": "OAuthException"}}, 400)
    session = FacebookSession(access_token=said)
    api = FacebookAdsApi(session)
    _in_thread(lambda: api.call("POST", f"{server.url}/{said}/events", params={"data": said}))
    server.close()


def _apprise(said: str) -> None:
    from apprise import Apprise

    server = _local().Server()
    server.say_bytes(said.encode(), 500)
    Apprise([f"{server.url.replace('http', 'json')}/{said}"]).notify(title=said, body=said)
    server.close()


def _uvicorn(said: str) -> None:
    import requests
    import uvicorn

    async def app(*_: object) -> None:
        raise ValueError(said)

    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None, log_level="trace"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    requests.get(f"http://127.0.0.1:{port}/{said}", headers={"X-Trace": said}, timeout=5)
    server.should_exit = True
    thread.join()


def _sqlalchemy(said: str) -> None:
    import sqlalchemy as sa

    _shout()  # its level is read when it loads
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        connection.execute(sa.text("select :email"), {"email": said}).all()
        with suppress(sa.exc.SQLAlchemyError):
            connection.execute(sa.text(f"select {said}"))
    engine.dispose()


def _alembic(said: str) -> None:
    import sqlalchemy as sa
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    _shout()
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        connection.execute(sa.text(f"create table {said} (x integer)"))
        compare_metadata(MigrationContext.configure(connection), sa.MetaData())
    engine.dispose()


def _apscheduler(said: str) -> None:
    from apscheduler.schedulers.background import BackgroundScheduler

    done = threading.Event()

    def fail() -> None:
        done.set()
        raise ValueError(said)

    scheduler = BackgroundScheduler()
    scheduler.start()
    scheduler.add_job(fail, name=said)
    done.wait(10)
    scheduler.shutdown()


# ── the interpreter ──────────────────────────────────────────────────────────────────────────────


def _asyncio(said: str) -> None:
    async def never_awaited() -> None:
        async def fail() -> None:
            raise ValueError(said)

        task = asyncio.create_task(fail(), name=said)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del task
        gc.collect()
        asyncio.get_running_loop().call_exception_handler({"message": said, "exception": ValueError(said)})

    asyncio.run(never_awaited(), debug=True)


def _warnings(said: str) -> None:
    warnings.warn(f"{said} is deprecated", UserWarning, stacklevel=1)


def _threading(said: str) -> None:
    def fail() -> None:
        try:
            raise KeyError(said)
        except KeyError as error:
            raise ValueError(said) from error

    _in_thread(fail)


def _unraisable(said: str) -> None:
    class Broken:
        def __del__(self) -> None:
            raise ValueError(said)

    Broken()
    gc.collect()


def _own_record(said: str) -> None:
    logging.getLogger("jobs.pull.sync").warning("%d leads", said)


def _own_exception(said: str) -> None:
    try:
        raise ValueError(said)
    except ValueError:
        if "redacted" in sys.argv:  # as jobs does, whose handler reduces exceptions
            structlog.stdlib.get_logger("jobs.cli.night.run").warning("could not be counted", exc_info=True)
        else:
            logging.getLogger("jobs.cli.night.run").exception("could not be counted")


def _uncaught(said: str) -> None:
    raise ValueError(said)


# ── all of them ──────────────────────────────────────────────────────────────────────────────────

LIBRARIES: dict[str, Callable[[str], None]] = {
    "urllib3": _urllib3,
    "httpx": _httpx,
    "google-ads": _google_ads,
    "google-auth": _google_auth,
    "google-datamanager": _google_datamanager,
    "grpc": _grpc,
    "facebook-business": _facebook_business,
    "apprise": _apprise,
    "uvicorn": _uvicorn,
    "sqlalchemy": _sqlalchemy,
    "alembic": _alembic,
    "apscheduler": _apscheduler,
    "asyncio": _asyncio,
    "warnings": _warnings,
    "threading": _threading,
    "unraisable": _unraisable,
    "own-record": _own_record,
    "own-exception": _own_exception,
    "uncaught": _uncaught,
}
"""The last one ends the program."""


class _Everything(logging.Formatter):
    """Prints all of a record: its text, its exception, and fields added to it."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{super().format(record)} {vars(record)}"


def _shout() -> None:
    logging.getLogger().setLevel(logging.DEBUG)
    for name in [*logging.Logger.manager.loggerDict, "google", "google.auth", "google.ads"]:
        logging.getLogger(name).setLevel(logging.DEBUG)


def _listen() -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Everything())
    # A library may give handlers to loggers of its own, as Google's do, and stop them from propagating.
    handler.addFilter(lambda record: not record.name.startswith(("jobs", "connectors")) or "bare" in sys.argv)
    for name in ("", "google"):
        logging.getLogger(name).addHandler(handler)


def _local() -> ModuleType:
    """The loopback servers, which load gRPC: its core reads the environment then, so after redaction began."""
    return import_module("tests.contract.google_ads.conftest")


def _in_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def _frozen(platform, event):
    from connectors.records import EncodedEvent

    return EncodedEvent(event.key, platform.sink.encode(event))


def _private_key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def main() -> None:
    """Let each library speak in its turn."""
    if "redacted" in sys.argv:
        redact_uncaught_errors()
        start_logging(as_json=True)
    _listen()
    for name, speak in LIBRARIES.items():
        _shout()
        speak(marker(name))


if __name__ == "__main__":
    main()
