"""`appointments serve`: the HTTP service."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from domain.errors import NotInstalled, StorageUnavailable, UsageError
from domain.storage.location import Location, locate
from projections.appointments import Appointments
from projections.cli.exits import EXIT_LATER
from projections.cli.interruption import told
from projections.cli.options import Db, Json, LogFormatOption, LogLevel, Schema
from projections.cli.telling import level_of
from projections.cli.terminal import complain, print_json
from projections.logs import LogEvent, LogFormat, logging_to_standard_error, reason_of, tell

if TYPE_CHECKING:
    from socket import socket

    from projections.web.app import Service
    from projections.web.configuration import Access

PORT_DEFAULT = 8000

_START_SECONDS = 5.0
"""How long it asks, before it listens, whether the database can be used."""

Host = Annotated[str, typer.Option("--host", metavar="H", help="The address to listen on.")]
Port = Annotated[int, typer.Option("--port", metavar="P", min=0, max=65_535, help="The port; 0 is any free one.")]
Intake = Annotated[bool, typer.Option("--intake", help="Accept envelopes: POST /envelopes.")]
Project = Annotated[bool, typer.Option("--project", help="Project what is appended, in this process.")]
IntakeDb = Annotated[
    str | None, typer.Option("--intake-db", metavar="URL", help="Append as the database role in this URL.")
]
TokenFile = Annotated[
    str | None, typer.Option("--token-file", metavar="F", help="Require the token in this file for every request.")
]
WebhookSecretFile = Annotated[
    str | None,
    typer.Option(
        "--webhook-secret-file", metavar="F", help="Accept envelopes signed with the Standard Webhooks secrets in F."
    ),
]
AllowHost = Annotated[
    list[str] | None,
    typer.Option("--allow-host", metavar="NAME", help="Answer under this host name too; repeatable."),
]
BehindProxy = Annotated[
    bool, typer.Option("--behind-proxy", help="A proxy decides who may ask; allows any address to listen on.")
]


def serve(
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    host: Host = "127.0.0.1",
    port: Port = PORT_DEFAULT,
    intake: Intake = False,
    project: Project = False,
    intake_db: IntakeDb = None,
    token_file: TokenFile = None,
    webhook_secret_file: WebhookSecretFile = None,
    allow_host: AllowHost = None,
    behind_proxy: BehindProxy = False,
    log_format: LogFormatOption = LogFormat.TEXT,
    log_level: LogLevel = "info",
) -> None:
    """Serves schedules as JSON and as pages over HTTP, and accepts envelopes."""
    try:
        from projections.follower import Follower
        from projections.web.app import Service
        from projections.web.server import listen
    except ImportError as error:
        raise UsageError(f"serving needs {error.name}: pip install 'appointments[web]'") from None
    _check_openness(host, is_guarded=token_file is not None or behind_proxy)
    if intake_db is not None and not intake:
        raise UsageError("--intake-db has no meaning without --intake")
    location = locate(db, schema=schema)
    with ExitStack() as stack:
        stack.enter_context(
            logging_to_standard_error(log_format, level=level_of(log_level), others=["uvicorn.error"])
        )
        appointments = stack.enter_context(Appointments(location))
        access = _access(host, allow_host or [], token_file, webhook_secret_file, location if intake else None)
        taking = appointments if intake else None
        if intake_db is not None:
            taking = stack.enter_context(Appointments.open(intake_db, schema=schema))
        follower = stack.enter_context(Follower(appointments.projector)) if project else None
        listening = stack.enter_context(listen(host, port))
        _check_usable(appointments, creates=project or (intake and intake_db is None))
        _run(Service(appointments=appointments, intake=taking, access=access, follower=follower), listening, as_json)


def _check_usable(appointments: Appointments, *, creates: bool) -> None:
    """Raises what no waiting mends; a database that is away is waited for."""
    try:
        appointments.schedules.stamp(timeout=_START_SECONDS)
    except StorageUnavailable as error:
        tell(LogEvent.NOT_READY, level=logging.WARNING, reason=reason_of(error))
    except NotInstalled:
        if not creates:
            raise


def _check_openness(host: str, *, is_guarded: bool) -> None:
    from projections.web.configuration import is_loopback

    if not is_loopback(host) and not is_guarded:
        raise UsageError(
            f"on {host} others could ask: --token-file F asks them for a token, --behind-proxy leaves it to a proxy"
        )


def _run(service: Service, listening: socket, as_json: bool) -> None:
    """Serves until a signal asks for the end."""
    from projections.web.app import create_app
    from projections.web.server import Server, address_of, end_in_time

    def ready() -> None:
        complain(f"listening on {address_of(listening)}")
        tell(LogEvent.LISTENING, address=address_of(listening))
        if as_json:
            print_json({"address": address_of(listening)})

    server = Server(create_app(service), closing=service.closing, ready=ready)

    def stop() -> None:
        end_in_time(EXIT_LATER)
        server.stop()

    with told(stop):
        server.run_on(listening)
    tell(LogEvent.STOPPED, reason="asked to", requests=server.server_state.total_requests)


def _access(
    host: str,
    names: list[str],
    token_file: str | None,
    webhook_secret_file: str | None,
    taking_in: Location | None,
) -> Access:
    from projections.web.configuration import (
        LOOPBACK_NAMES,
        Access,
        intake_token_beside,
        read_token,
        read_webhook_secrets,
    )

    intake_token = None
    if taking_in is not None and token_file is None and webhook_secret_file is None:
        if taking_in.backend != "sqlite":
            raise UsageError("--intake needs --token-file or --webhook-secret-file to authenticate its senders")
        intake_token, path = intake_token_beside(taking_in.target)
        complain(f"the token for deliveries is in {path}")
    return Access(
        token=None if token_file is None else read_token(token_file),
        intake_token=intake_token,
        webhook_secrets=() if webhook_secret_file is None else read_webhook_secrets(webhook_secret_file),
        hosts=LOOPBACK_NAMES | {host.lower(), *(name.lower() for name in names)},
    )
