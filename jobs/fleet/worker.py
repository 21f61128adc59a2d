"""A worker: takes due accounts from the queue, has children work on them, and looks after the queue for all."""

import asyncio
import math
import signal
import socket
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar

import psycopg
import structlog
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager
from procrastinate.psycopg_connector import PsycopgConnector

from connectors.language import N_, _
from jobs.cancellation import StopSignal
from jobs.exit_codes import Exit
from jobs.fleet import queue
from jobs.fleet.accounts import latest_settings
from jobs.fleet.children import Child, ChildDiedError, ChildNursery, NurseryEndedError
from jobs.fleet.database import (
    Connection,
    FleetAwayError,
    FleetDatabase,
    FleetDatabaseError,
    OtherVersionError,
    UpgradedError,
    clock_error,
    explained,
)
from jobs.fleet.deploy import require_deployed
from jobs.fleet.problems import record_problems
from jobs.fleet.unable import Rest, may_another_run_it
from jobs.fleet.work import MOST_LOST_RUNS, STOPPED_BY_SIGNAL, DidTask, WorkOrder, WorkResult

PROCESS_DIED = N_("the process that worked on it died")
WORKERS_DIED = N_(
    "the last workers that worked on it all died, most likely because memory ran out (then the kernel's log says so): "
    "give workers more memory or fewer places (`--concurrency`), then run it with `fleet run`"
)
RESULT_REFUSED = N_("the database refused to record what became of it; the worker's log says why")
_OF_THE_VALUES = (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded, UnicodeEncodeError)
"""How the database, or its driver, refuses values that it would refuse the next time too."""
_CONNECTION_SECONDS = 10.0
"""How long the queue is tried for a connection; then it is tried anew."""
MOST_REFUSALS = 60
"""How often a worker asks for what the database refuses: some minutes, in which somebody may mend it."""
T = TypeVar("T")
_log = structlog.stdlib.get_logger()


class _ResultRefusedError(Exception):
    """The database refuses a result for what is in it; the message says why, without quoting it."""


@dataclass(frozen=True, slots=True)
class _RecordedResult:
    """What recording a result has shown."""

    counts: bool
    """False if the run was given up as lost meanwhile, and another has begun since."""
    is_for_others: bool
    """Whether this machine could not run the account, and another one may."""


@dataclass(frozen=True, slots=True)
class WorkerIntervals:
    """How often a worker does what, in seconds."""

    look: float = 45.0
    """Between two looks for accounts that are due, and for workers that died."""
    poll: float = 5.0
    """Between two looks into the queue while it is empty."""
    watch: float = 60.0
    """Between two looks at how all accounts fare, for the page, the metrics and the notices."""
    heartbeat: float = 10.0
    dead_after: float = 60.0
    """How long a worker may be silent before its accounts are given to others; with `look`, under two minutes."""
    drain: float = 60.0
    """How long work under way may take to end after a stop."""
    record: float = 10.0
    """How long it may then take to record that it was killed; with `drain`, less than until a service manager kills."""


_DEAD_AFTER = timedelta(seconds=WorkerIntervals().dead_after)


@dataclass(slots=True)
class FleetWorker:
    """One process's share of the fleet's work.

    The library's own worker is not used: while it waits for a night to end, after a stop or a lost connection, it sends
    no heartbeat, so that others would take that night for lost.
    """

    database: FleetDatabase
    nursery: ChildNursery
    stop: StopSignal
    concurrency: int
    pace: WorkerIntervals = field(default_factory=WorkerIntervals)
    beat: Callable[[], None] = lambda: None
    """Called at each heartbeat, for whoever watches this process."""
    watch: Callable[[Callable[[], bool]], None] = lambda _should_stop: None
    """Tells people how the fleet fares; called now and then, on a thread of its own. Never raises."""
    _manager: JobManager = field(init=False)
    _threads: ThreadPoolExecutor = field(init=False)
    _stopping: asyncio.Event = field(init=False)
    _machine: str = field(default_factory=socket.gethostname, init=False)
    _id: int = field(default=0, init=False)
    _under_way: set[int] = field(default_factory=set, init=False)
    """The jobs that this worker knows to be its own."""
    _stray: set[int] = field(default_factory=set, init=False)
    _rest: Rest = field(default_factory=Rest, init=False)
    _lane: queue.SuspectLane = field(default_factory=queue.SuspectLane, init=False)
    _has_killed: bool = field(default=False, init=False)
    """Whether it has killed what did not end in time after a stop."""
    _is_away: bool = field(default=False, init=False)
    """Whether the log says that the database is away."""
    _refusal: str = field(default="", init=False)
    """Why the database refuses something, as the log says."""
    _heard_since: float = field(default=math.inf, init=False)
    """Since when its heartbeats have been recorded without a long silence, on the monotonic clock."""

    @property
    def _long_silence(self) -> timedelta:
        """One in which others could have been missed; shorter, they are heard again before they count as dead."""
        return timedelta(seconds=self.pace.dead_after / 2)

    async def run(self) -> None:
        """Work until a stop is requested, and wait a bounded time for what is under way.

        Raises:
            FleetAwayError: the database cannot be reached at the start.
            FleetDatabaseError: it cannot be used.
            UpgradedError: it is of another version by now.
        """
        connector = self._queue()
        self._manager = JobManager(connector)
        self._stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self.stop.fileno(), self._stop_looking)
        try:
            with ThreadPoolExecutor(self.concurrency + 3) as self._threads:
                await connector.open_async()
                await self._register()
                await self._work()
        except (ConnectorException, psycopg.Error) as error:
            raise explained(error) from None
        finally:
            loop.remove_reader(self.stop.fileno())
            with suppress(ConnectorException):
                await connector.close_async()

    async def _register(self) -> None:
        self._id = await self._in_database(lambda connection: queue.register(connection, self._machine))
        self._heard_since = time.monotonic()
        _log.info("the worker is registered", machine=self._machine, worker=self._id)

    def _queue(self) -> PsycopgConnector:
        return PsycopgConnector(
            conninfo=self.database.url,
            kwargs=self.database.connect_options,
            min_size=1,
            max_size=2,
            # Both, or it would be away for longer than the database was: the pool waits twice as long from try to try,
            # and after the last one tries nothing until somebody asks it anew.
            timeout=_CONNECTION_SECONDS,
            reconnect_timeout=_CONNECTION_SECONDS,
        )

    def _stop_looking(self) -> None:
        asyncio.get_running_loop().remove_reader(self.stop.fileno())
        self._stopping.set()

    async def _work(self) -> None:
        heart = asyncio.create_task(self._every(self.pace.heartbeat, self._keep_alive))
        upkeep = asyncio.create_task(self._every(self.pace.look, self._look_after_the_queue))
        watching = asyncio.create_task(self._every(self.pace.watch, self._watch))
        places = [asyncio.create_task(self._serve(Child(self.nursery))) for _number in range(self.concurrency)]
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([stopping, heart, upkeep, watching, *places], return_when=asyncio.FIRST_COMPLETED)
        self._stopping.set()  # also where one of them failed
        if self.stop.signal_number is None:
            self.stop.request_graceful_stop(signal.SIGTERM)  # so that the processes at work end in time, too
        upkeep.cancel()
        watching.cancel()
        _log.info("no new account is taken, and those at work end", at_work=len(self._under_way))
        # Heartbeats go on until nothing is under way, or no more than a kill may do to it.
        _ended, late = await asyncio.wait(places, timeout=self.pace.drain)
        if late:
            _log.warning("work under way did not end in time and is left to other workers", accounts=len(late))
            self._has_killed = True
            self.nursery.close()
            # So that it counts as stopped, not as lost with a worker that died.
            _ended, late = await asyncio.wait(late, timeout=self.pace.record)
        for each in (*late, heart):
            each.cancel()
        results = await asyncio.gather(heart, upkeep, watching, *places, return_exceptions=True)
        with suppress(ConnectorException):
            await self._manager.unregister_worker(self._id)
        for failure in results:
            if isinstance(failure, Exception):
                raise failure

    async def _every(self, seconds: float, do: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do something now and then again, whatever becomes of it: a database comes back."""
        while True:
            await self._try(do)
            await asyncio.sleep(seconds)

    async def _try(self, do: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Do something that is done again later; what keeps the database from it is logged."""
        try:
            await do()
        except (ConnectorException, FleetDatabaseError) as error:
            self._note_failure(error)

    async def _keep_alive(self) -> None:
        self.beat()
        silence = await self._in_database(lambda connection: queue.beat(connection, self._id))
        if silence is None:
            # Paused for so long that it was taken for dead: its accounts are others' by now.
            await self._register()
        elif silence > self._long_silence:
            self._heard_since = time.monotonic()
        self._refusal = ""
        if self._is_away:
            self._is_away = False
            _log.info("the fleet's database answers again")

    async def _look_after_the_queue(self) -> None:
        # Also where no job comes: the queue's own functions may be gone with the upgrade.
        await self._in_database(_require_own_version)
        # Each by itself: what is refused to one must not keep accounts from the others.
        await self._try(self._give_up_dead_workers)
        await self._try(self._give_up_stray_jobs)
        await self._try(self._release_lost_runs)
        await self._try(lambda: self._in_database(queue.enqueue_due_accounts))
        await self._try(lambda: self._in_database(queue.delete_old_runs))

    async def _watch(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads, self.watch, self._stopping.is_set)

    async def _give_up_dead_workers(self) -> None:
        # Whatever kept this worker's heart from being heard may have kept others': the database was away, its clock
        # jumped, this machine was paused. All have time to be heard first.
        is_heard = await self._in_database(
            lambda connection: queue.is_heard(connection, self._id, silent_for=self._long_silence)
        )
        if not is_heard or time.monotonic() - self._heard_since < self.pace.dead_after:
            return
        await self._in_database(queue.count_future_heartbeats_from_now)
        for job in await self._manager.get_stalled_jobs(seconds_since_heartbeat=self.pace.dead_after):
            # Not `retry_job`: a worker that was only paused would end the job of its successor, which has the same id.
            with suppress(ConnectorException):
                await self._manager.finish_job(job, Status.FAILED, delete_job=True)
        await self._manager.prune_stalled_workers(self.pace.dead_after)

    async def _give_up_stray_jobs(self) -> None:
        """Give up jobs that the database gave to this worker in an answer that was lost: at two looks, not ours."""
        found = await self._manager.list_jobs_async(status=Status.DOING.value, worker_id=self._id)
        stray = {job.id for job in found if job.id is not None} - self._under_way
        for number in stray & self._stray:
            with suppress(ConnectorException):
                await self._manager.finish_job_by_id_async(number, Status.FAILED, delete_job=True)
        self._stray = stray

    async def _release_lost_runs(self) -> None:
        for account, run in await self._in_database(_release_lost_runs):
            if run.lost < MOST_LOST_RUNS:
                _log.warning("its worker died, and the account is due again", account=account)
            else:
                _log.error("its workers died, and the account waits for its next night", account=account, lost=run.lost)

    async def _serve(self, child: Child) -> None:
        """Take account after account from the queue until a stop is requested."""
        while not self._stopping.is_set():
            try:
                job = await self._fetch(child)
            except ConnectorException as error:
                self._note_failure(error)
                job = None
            if job is None or job.id is None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), self.pace.poll)
                continue
            self._under_way.add(job.id)
            try:
                await self._do(job, child)
            finally:
                self._under_way.discard(job.id)
                self._lane.leave(child)

    async def _fetch(self, child: Child) -> Job | None:
        """Take the job whose turn it is, if this worker takes any; a suspect's, only if no other is at work here."""
        if not self._rest.may_take():
            return None
        queues = [queue.QUEUE, queue.SUSPECTS] if self._lane.enter(child) else [queue.QUEUE]
        job = None
        try:
            job = await self._manager.fetch_job(queues, self._id)
        finally:
            if job is None or job.queue != queue.SUSPECTS:
                self._lane.leave(child)
        return job

    async def _do(self, job: Job, child: Child) -> None:
        """Do a job's work, record its result, and delete the job, in this order: see `release_lost_runs`.

        Raises:
            UpgradedError: the database is of another version by now; nothing was begun.
        """
        account = str(job.task_kwargs["account"])
        try:
            await self._do_and_record(job, account, child)
        except UpgradedError:
            # The account is as due as it was, for a worker of that version.
            with suppress(ConnectorException):
                await self._manager.finish_job(job, Status.FAILED, delete_job=True)
            raise
        except (FleetDatabaseError, _ResultRefusedError) as error:
            # The job stays, and is given up as a stray one; what was done, the account's ledger knows.
            _log.error(
                "what became of the account cannot be recorded; it is tried again", account=account, why=str(error)
            )

    async def _do_and_record(self, job: Job, account: str, child: Child) -> None:
        begun = await self._surely(lambda connection: self._begin(connection, account, job))
        if begun is not None:
            run, order = begun
            result = await self._result(child, account, order)
            recorded = await self._end(account, run, result)
            self._rest.record(
                account,
                result,
                is_for_others=recorded.is_for_others,
                has_failed_before=run.failures + run.held > 0,
            )
            if not recorded.counts:
                _log.warning("the account was given to another worker meanwhile", account=account)
        await self._delete(job)

    async def _end(self, account: str, run: queue.OpenRun, result: WorkResult) -> _RecordedResult:
        """Record a result, however long the database refuses everything; without its words, if it refuses those.

        The exit code stays, so that nothing is done or forgotten that would not have been; one that asks for nobody
        becomes one that needs a human.

        Raises:
            _ResultRefusedError: the database refuses what is left, too.
        """
        try:
            return await self._surely(lambda connection: _end_run(connection, account, run, result), gives_up=False)
        except _ResultRefusedError as error:
            _log.error("the database refuses what became of the account", account=account, why=str(error))
        exit_code = result.exit_code if result.exit_code != Exit.DONE else Exit.ATTENTION
        plain = replace(result, exit_code=exit_code, why=RESULT_REFUSED, problems=None)
        return await self._surely(lambda connection: _end_run(connection, account, run, plain), gives_up=False)

    async def _delete(self, job: Job) -> None:
        async def delete() -> None:
            try:
                await self._manager.finish_job(job, Status.SUCCEEDED, delete_job=True)
            except ConnectorException as error:
                # Else it was deleted already, by whoever took this worker for dead.
                if not isinstance(error.__cause__, psycopg.errors.RaiseException):
                    raise explained(error) from None

        await self._repeatedly(delete)

    def _begin(self, connection: Connection, account: str, job: Job) -> tuple[queue.OpenRun, WorkOrder] | None:
        # An old version would call every account's settings or state wrong.
        _require_own_version(connection)
        settings = latest_settings(connection, account)
        if settings is None or job.id is None:
            return None
        run = queue.begin_run(
            connection,
            account,
            job=job.id,
            machine=self._machine,
            version=settings.version,
            asked_at=settings.asked_at,
        )
        age = run.started_at - settings.added_at
        return run, WorkOrder(settings, age, run.last_run, clock_error(connection))

    async def _result(self, child: Child, account: str, order: WorkOrder) -> WorkResult:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, child.execute_work_order, order)
        except (ChildDiedError, NurseryEndedError) as error:
            if self._has_killed:
                return WorkResult(DidTask.NOTHING, STOPPED_BY_SIGNAL + (self.stop.signal_number or signal.SIGTERM))
            if isinstance(error, NurseryEndedError):
                raise
            _log.error("the process that worked on it died", account=account, exit_code=int(Exit.BUG))
            return WorkResult(DidTask.NOTHING, Exit.BUG, why=PROCESS_DIED)

    async def _surely(self, do: Callable[[Connection], T], *, gives_up: bool = True) -> T:
        """Do something in the database, however long it is away: a job that nobody ends would hold its account.

        Args:
            do: what to do, in a transaction.
            gives_up: whether it need not be done if the database answers and goes on refusing it.

        Raises:
            FleetDatabaseError: it has been refused `MOST_REFUSALS` times.
        """
        return await self._repeatedly(lambda: self._in_database(do), gives_up=gives_up)

    async def _repeatedly(self, do: Callable[[], Coroutine[Any, Any, T]], *, gives_up: bool = True) -> T:
        refusals = 0
        while True:
            try:
                return await do()
            except FleetDatabaseError as error:
                self._note_failure(error)
                refusals += not isinstance(error, FleetAwayError)
                if gives_up and refusals >= MOST_REFUSALS:
                    raise
            await asyncio.sleep(self.pace.poll)

    def _note_failure(self, error: Exception) -> None:
        """Log that the database is away, or what it refuses; each once until it changes."""
        found = explained(error)
        if isinstance(found, FleetAwayError):
            if not self._is_away:
                self._is_away = True
                _log.warning("the fleet's database does not answer, and is tried until it does", why=str(found))
        elif str(found) != self._refusal:
            self._refusal = str(found)
            _log.error("the fleet's database refuses what a worker asks of it, and is asked again", why=str(found))

    async def _in_database(self, do: Callable[[Connection], T]) -> T:
        def in_transaction() -> T:
            with self.database.connect() as connection:
                return do(connection)

        return await asyncio.get_running_loop().run_in_executor(self._threads, in_transaction)


def _require_own_version(connection: Connection) -> None:
    """Return if the database is still of this worker's version; raise UpgradedError if it is not."""
    try:
        require_deployed(connection)
    except OtherVersionError as error:
        raise UpgradedError(
            _(
                "the database is no longer of this worker's version; the worker ends so that its service manager "
                "starts it again ({why})",
                why=error,
            )
        ) from None


def _release_lost_runs(connection: Connection) -> list[tuple[str, queue.OpenRun]]:
    """Have the accounts be due whose worker died; one for which that keeps happening has failed, and needs a human."""
    released = queue.release_lost_runs(connection)
    for account, run in released:
        if run.lost >= MOST_LOST_RUNS:
            result = WorkResult(DidTask.NOTHING, Exit.BUG, why=WORKERS_DIED)
            if queue.end_run(connection, run, result, is_given_up=True):
                record_problems(connection, account, result, asked=run.asked)
    return released


def _end_run(connection: Connection, account: str, run: queue.OpenRun, result: WorkResult) -> _RecordedResult:
    """Record a result and what it says of the account's problems.

    Raises:
        _ResultRefusedError: the database takes no such result.
    """
    is_for_others = result.task is DidTask.UNABLE and may_another_run_it(connection, run.id, silent_for=_DEAD_AFTER)
    if is_for_others:
        # Nobody is needed yet.
        result = replace(result, exit_code=Exit.HELD)
    try:
        is_ended = queue.end_run(connection, run, result)
        if is_ended:
            record_problems(connection, account, result, asked=run.asked)
    except _OF_THE_VALUES as error:
        raise _ResultRefusedError(str(explained(error))) from None
    return _RecordedResult(is_ended, is_for_others)
