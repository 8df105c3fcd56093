"""Opens the storage of a sweep: SQLite, a journal file, or a server such as PostgreSQL."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy import event, make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

from src.errors import UserError

FORMS = "expected sqlite:///FILE, journal:FILE or postgresql://USER@HOST/DATABASE"
JOURNAL = "journal:"
PATIENCE = 60  # seconds that a process waits while others write into the SQLite file
CONNECTING = 10  # seconds to wait for a server
TRIES = 5  # two workers may create the tables at the same time, and one of them fails
FAILURES = (SQLAlchemyError, StorageInternalError, OSError, ImportError, RuntimeError, ValueError)


def open_storage(given: str) -> BaseStorage:
    """Return the storage, which is created if it is a file that does not exist.

    Args:
        given: `journal:FILE`, or a URL of SQLAlchemy.

    Raises:
        UserError: If it cannot be reached, or is none.
    """
    try:
        if given.startswith(JOURNAL):
            path = Path(given.removeprefix(JOURNAL))
            path.parent.mkdir(parents=True, exist_ok=True)
            return JournalStorage(JournalFileBackend(str(path)))
        return database(given)
    except FAILURES as error:
        hint = "" if isinstance(error, ArgumentError) else "\nIs it there, and may you write to it?"
        place = without_password(given)
        raise UserError(f"--storage {place} cannot be used: {reason(error)}{hint}") from error


@contextmanager
def storage_errors(given: str) -> Iterator[None]:
    """Explain that a storage cannot be reached any more.

    Args:
        given: Its name, as in `--storage`.

    Raises:
        UserError: If so.
    """
    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        raise UserError(
            f"--storage {without_password(given)} cannot be reached any more: {reason(error)}\n"
            "No trial is lost: the same command goes on from here."
        ) from error


def database(given: str) -> RDBStorage:
    """Return a storage in a database."""
    url = make_url(given)
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "postgresql":
        options["connect_args"] = {"connect_timeout": CONNECTING}
    if url.get_backend_name() == "sqlite":
        options["connect_args"] = {"timeout": PATIENCE}
        Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
    storage = created(url.render_as_string(hide_password=False), options)
    if url.get_backend_name() == "sqlite":
        write_one_by_one(storage.engine)
    return storage


def created(url: str, options: dict[str, Any]) -> RDBStorage:
    """Return the storage after creating its tables, unless another worker is faster."""
    for left in reversed(range(TRIES)):
        try:
            return RDBStorage(url, options)
        except SQLAlchemyError as error:
            refused = isinstance(error, OperationalError) and "already exists" not in str(error)
            if refused or not left:
                raise
            time.sleep(0.2)
    raise AssertionError("not reached")


def write_one_by_one(engine: Any) -> None:
    """Let a transaction of SQLite begin by taking the lock for writing, and not wait for the disk.

    Or two workers could read at the same time that a trial is waiting, and both take it: Optuna
    asks for a lock on the row, which SQLite does not have. A write-ahead log needs no flush to the
    disk for each of the twenty transactions of a trial: a killed process loses nothing, a power cut
    at most the last seconds.
    See https://docs.sqlalchemy.org/en/20/dialects/sqlite.html#enabling-non-legacy-sqlite-transactional-modes
    """

    def prepare(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # transactions begin below
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", lambda one: one.exec_driver_sql("BEGIN IMMEDIATE"))
    engine.dispose()  # or connections made before would not be told


def without_password(given: str) -> str:
    """Return the name of a storage without its password."""
    try:
        return make_url(given).render_as_string(hide_password=True)
    except ArgumentError:
        return given


def reason(error: BaseException) -> str:
    """Return in one line what is wrong with a storage."""
    if isinstance(error, ArgumentError):
        return FORMS
    cause = error.__cause__ or error
    told = str(getattr(cause, "orig", None) or cause).strip().splitlines()
    return told[0] if told else type(error).__name__
