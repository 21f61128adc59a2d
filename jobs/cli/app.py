"""The command line's arguments and streams; commands import their code when they run, so that `--help` stays fast."""

import errno
import gc
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from functools import partial
from io import BufferedWriter, FileIO, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

from connectors.language import Language, _, chosen_language, current_language, using_language
from jobs.cli import state_commands, values
from jobs.cli.fleet import commands as fleet
from jobs.cli.oplead import commands as oplead
from jobs.cli.options import (
    EXIT_CODES,
    AlreadySentFile,
    AssumeTime,
    AtOnce,
    Config,
    Configs,
    Conversion,
    Destination,
    DryRun,
    FirstChange,
    FirstRun,
    GoogleTransport,
    Json,
    LastChange,
    Leads,
    PathPrefix,
    Seed,
    Specification,
    Yes,
    command,
    parse_day_option,
)
from jobs.cli.setup.init.questions import QUESTIONS, SetupQuestion, answers_given
from jobs.cli.usage_errors import usage_errors_in_words
from jobs.privacy.redaction import redact_uncaught_errors

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_STDOUT, _STDERR = 1, 2


class _Commands(TyperGroup):
    """All commands; what is wrong with how one was typed is said in the reader's language."""

    def main(self, args: Sequence[str] | None = None, *options: Any, **more: Any) -> Any:
        """Run what was typed; a program is answered in English, whatever the terminal or the settings speak."""
        typed = sys.argv[1:] if args is None else args
        with using_language(Language.ENGLISH if "--json" in typed else chosen_language()):
            if current_language() is not Language.ENGLISH:
                from jobs.cli.help import translate_help  # noqa: PLC0415

                translate_help(self)
            return super().main(args, *options, **more)

    def make_context(self, *args: Any, **options: Any) -> Any:
        """Read the options before the command."""
        with usage_errors_in_words():
            return super().make_context(*args, **options)

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        """Run the command that was typed."""
        with usage_errors_in_words():
            return super().invoke(ctx)


app = typer.Typer(
    name="oplead-sync",
    cls=_Commands,
    help="Reports to Google Ads and Meta, every night, what became of the leads in Oplead.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(oplead.app)
app.add_typer(values.app)
app.add_typer(state_commands.app)
app.add_typer(fleet.app)


class _FileIgnoringWriteErrors(FileIO):
    """A file on which every write succeeds; output that cannot be written is dropped."""

    lost: int | None = None
    """The errno of the last dropped write."""

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write the data, or drop it."""
        try:
            written: int | None = super().write(data)
        except OSError as error:
            self.lost = error.errno
        else:
            if written is not None:
                return written
            self.lost = errno.EAGAIN  # a non-blocking pipe is full
        return memoryview(data).nbytes

    def as_text_stream(self, replaced: TextIO | None) -> TextIOWrapper:
        """Return a stream like the one it replaces, which is None if its descriptor was closed."""
        encoding = "utf-8" if replaced is None else replaced.encoding
        is_by_line = self.isatty() or self.fileno() == _STDERR
        return TextIOWrapper(BufferedWriter(self), encoding, errors="replace", line_buffering=is_by_line)


def main() -> None:
    """Run the command line, exit with its code, and report results that could not be written on stderr.

    Neither `| head`, nor a full disk, nor an é missing from the encoding of cron's mail may end the night.
    """
    # Libraries make 250,000 objects that stay: by default, Python searches them again and again while it loads more.
    gc.set_threshold(400_000)
    # Else pydantic asks each installed package whether it brings a plugin, which would then see the settings' secrets.
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    # Open closed standard descriptors: else the next file opened, perhaps a lock, gets their number and the output.
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(descriptor)
    redact_uncaught_errors()
    results = _FileIgnoringWriteErrors(_STDOUT, "w", closefd=False)
    sys.stdout = results.as_text_stream(sys.stdout)
    sys.stderr = _FileIgnoringWriteErrors(_STDERR, "w", closefd=False).as_text_stream(sys.stderr)
    try:
        app()
    finally:
        # Else Python searches them once more as it ends, though every file that was written is closed by now.
        gc.freeze()
        sys.stdout.flush()
        if results.lost not in (None, errno.EPIPE):
            why = os.strerror(results.lost or 0)
            sys.stderr.write(_("the results could not be written: {why}", why=why) + "\n")
        sys.stderr.flush()


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - how typer calls it
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415

        typer.echo(f"oplead-sync {version('oplead-sync')}")
        raise typer.Exit


@app.callback()
def _global_options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


@command(app, EXIT_CODES)
def run(
    config: Configs,
    *,
    dry_run: DryRun = False,
    validate_only: Annotated[
        bool, typer.Option("--validate-only", help="Have Google check what would be sent; nothing counts or is kept.")
    ] = False,
    wait: Annotated[str, typer.Option(metavar="SPAN", help="Wait up to this long for outcomes, as 45m.")] = "0s",
    accept_volume: Annotated[
        bool, typer.Option("--accept-volume", help="Send also where far more is due than a night usually sends.")
    ] = False,
    accept_file: Annotated[
        bool, typer.Option("--accept-file", help="Read an export with far fewer leads or columns than the last one.")
    ] = False,
    same_leads: Annotated[
        bool,
        typer.Option("--same-leads", help="Leads held as possibly the same under new ids are: send nothing again."),
    ] = False,
    other_leads: Annotated[bool, typer.Option("--other-leads", help="They are other leads: send theirs too.")] = False,
    accept_fewer: Annotated[
        bool, typer.Option("--accept-fewer", help="Believe that leads no longer shown were deleted, however many.")
    ] = False,
    first_run: FirstRun = False,
    inbox: Annotated[
        bool, typer.Option("--inbox", help="Between nights: read only the leads that webhooks have reported.")
    ] = False,
    at_once: AtOnce = 4,
    json: Json = False,
) -> int:
    """Read what changed, decide, send, and ask for outcomes.

    One night's work for each account, some of them at the same time; what was sent before is asked about.
    """
    from jobs.account.night import RunOptions  # noqa: PLC0415
    from jobs.cli.night.run import run_accounts  # noqa: PLC0415
    from jobs.reporting.run_report import Mode  # noqa: PLC0415
    from jobs.run_context import TwinAnswer  # noqa: PLC0415

    waits = _parse_wait_option(wait)
    if dry_run and validate_only:
        raise typer.BadParameter(_("type --dry-run or --validate-only, not both: only the second asks the platforms"))
    if (dry_run or validate_only) and waits:
        raise typer.BadParameter(_("nothing is sent, so there is nothing to wait for"), param_hint="--wait")
    if (dry_run or validate_only) and first_run:
        raise typer.BadParameter(_("nothing is kept, so no state is made"), param_hint="--first-run")
    if same_leads and other_leads:
        raise typer.BadParameter(_("type --same-leads or --other-leads, not both"), param_hint="--same-leads")
    twins = TwinAnswer.SAME if same_leads else TwinAnswer.OTHER if other_leads else None
    if inbox and (dry_run or validate_only or waits or accept_volume or accept_fewer or twins or first_run):
        raise typer.BadParameter(_("this is no whole night: use it alone"), param_hint="--inbox")
    mode = Mode.REHEARSAL if dry_run else Mode.VALIDATION if validate_only else Mode.RUN
    options = RunOptions(
        mode,
        waits,
        accept_volume=accept_volume,
        accept_file=accept_file,
        accept_fewer=accept_fewer,
        twins=twins,
        first_run=first_run,
        inbox_only=inbox,
    )
    return run_accounts(config, options, at_once=at_once, json_wanted=json)


def _parse_wait_option(text: str) -> timedelta:
    from jobs.settings.types import Span, parse_as_type  # noqa: PLC0415

    try:
        return parse_as_type(Span, text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--wait") from None


@command(app, "Exit codes: 0 stopped as asked; 2 no account's nights can be run; 70 a bug.")
def schedule(
    config: Configs,
    *,
    first_run: FirstRun = False,
    health: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Touched every minute while the service is alive.")
    ] = None,
    at_once: AtOnce = 4,
    json: Json = False,
) -> int:
    """Run every night when it is due.

    Goes on until Ctrl-C, SIGTERM or SIGHUP, by each file's `schedule`; asks for outcomes an hour and six hours after a
    night. Supports systemd's Type=notify and WatchdogSec.
    """
    from jobs.cli.night.schedule import run_accounts_on_schedule  # noqa: PLC0415

    return run_accounts_on_schedule(config, at_once=at_once, json_wanted=json, first_run=first_run, health=health)


@command(app)
def init(
    *,
    folder: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where the files go.")] = Path("config"),
    export: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A file exported from Oplead: leads are read from its folder, not the API."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: take the options and the proposals.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
    spec: Specification = None,
    **options: str | list[str] | None,
) -> int:
    """Write a first settings file.

    Writes pipeline.yaml and .env.example. Asks the few questions that matter; with OPLEAD_TOKEN set it reads from
    Oplead first and proposes the answers.
    """
    from jobs.cli.setup.init.command import write_first_settings  # noqa: PLC0415

    try:
        given = answers_given(options)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return write_first_settings(folder, given, export=export, force=force, yes=yes, spec=spec)


def _option_of(question: SetupQuestion) -> inspect.Parameter:
    option = typer.Option(
        question.option_flag,
        metavar=question.metavar or "|".join(question.choices) or None,
        help=f"{question.help or question.text}.",
        autocompletion=(lambda: list(question.choices)) if question.choices else None,
    )
    return inspect.Parameter(
        question.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None if question.is_asked else question.proposal,
        annotation=Annotated[list[str] | None if question.by_stage else str | None, option],
    )


def _with_options_for_questions(command: Callable[..., int]) -> inspect.Signature:
    *own, _options = inspect.signature(command).parameters.values()
    return inspect.Signature([*own, *map(_option_of, QUESTIONS)])


# Typer derives options from the signature; this adds one for each question of the interview.
init.__signature__ = _with_options_for_questions(init)  # type: ignore[attr-defined]


@command(app, "Exit codes: 0 fine; 1 something looked up failed; 2 the file must not run.")
def check(
    config: Configs,
    *,
    live: Annotated[bool, typer.Option("--live", help="Ask Oplead, Google and Meta too; nothing is changed.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="With --live: list also what is fine.")] = False,
    json: Json = False,
) -> int:
    """Check configuration files.

    By themselves, or with --live against what the platforms know.
    """
    from jobs.account.files import find_settings_files  # noqa: PLC0415
    from jobs.cli.setup.check import check_settings_files  # noqa: PLC0415

    return check_settings_files(find_settings_files(config), live=live, json_wanted=json, verbose=verbose)


@command(app, "Exit codes: 0 all found out; 1 something could not be found out; 2 refused, or wrong usage or settings.")
def probe(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", metavar="FILE", help="A YAML file; its oplead section is enough.")
    ] = None,
    *,
    base_url: Annotated[str | None, typer.Option(metavar="URL", help="Without a file: Oplead's address.")] = None,
    path_prefix: PathPrefix = None,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Without a file: where the key is; else OPLEAD_TOKEN.")
    ] = None,
    clock: Annotated[str | None, typer.Option(metavar="URL", help="Without a file: a sandbox's clock.")] = None,
    leads: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=20_000,
            help="About how many leads to look at. Default: what five requests show where Oplead's specification says "
            "the rest, else 300.",
        ),
    ] = None,
    spec: Specification = None,
    json: Json = False,
) -> int:
    """Find out how Oplead answers.

    Reads some leads and prints where things are, what a night will take, and the settings to paste.
    """
    from jobs.cli.setup.probe import partial_settings_from_file, partial_settings_from_options  # noqa: PLC0415
    from jobs.cli.setup.probe import probe as look  # noqa: PLC0415

    if config is not None and any(option is not None for option in (base_url, path_prefix, token_file, clock)):
        raise typer.BadParameter(
            _("a file says all this: write either --config, or --base-url, --path-prefix, --token-file and --clock")
        )

    known = (
        partial_settings_from_options(base_url, path_prefix, token_file, clock)
        if config is None
        else partial_settings_from_file(config)
    )
    return look(known, file=config, leads=leads, spec=spec, json_wanted=json)


@command(
    app,
    "Exit codes: 0 walked to the end; 1 Oplead could not be read, or something was held back as personal; "
    "2 wrong usage or settings.",
)
def evidence(
    config: Config,
    *,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where to write: a new folder, or one to go on with.")
    ] = Path("evidence"),
    test_dataset: Annotated[
        str | None,
        typer.Option(metavar="ID", help="A dataset at Meta made for tests, which may be sent invented events."),
    ] = None,
) -> int:
    """Find out which of the job's assumptions hold here.

    Asks Oplead, Google and Meta, by reading alone or after a yes, and writes a folder without personal data.
    """
    from jobs.cli.setup.evidence import gather_evidence  # noqa: PLC0415

    return gather_evidence(config, out, test_dataset)


@command(app, EXIT_CODES)
def backfill(
    config: Config,
    *,
    first: FirstChange = None,
    last: LastChange = None,
    conversion: Conversion = None,
    destination: Destination = None,
    assume_time: AssumeTime = None,
    already_sent: AlreadySentFile = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """Send what happened before a conversion's start.

    Shows what would go out, what waits, what is held back and what is too late, and asks; the nights stay as they are.
    """
    from jobs.account.files import load_account  # noqa: PLC0415
    from jobs.cli.night.approval import ApprovalOptions  # noqa: PLC0415
    from jobs.cli.night.approved_send import send_approved  # noqa: PLC0415
    from jobs.cli.night.backfill_options import chosen_backfill  # noqa: PLC0415

    chosen = chosen_backfill(
        first, last, conversion=conversion, destination=destination, assume_time=assume_time, already_sent=already_sent
    )
    return send_approved(partial(load_account, config), ApprovalOptions(yes, dry_run, json), chosen)


@command(app, EXIT_CODES)
def retry(
    config: Config,
    *,
    code: Annotated[str | None, typer.Option(metavar="CODE", help="Only what was rejected with this code.")] = None,
    destination: Destination = None,
    conversion: Conversion = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """Send again what was rejected.

    Reads each lead again first; what is too late expires instead. At most 1,000 at once.
    """
    from jobs.account.files import load_account  # noqa: PLC0415
    from jobs.cli.night.approval import ApprovalOptions  # noqa: PLC0415
    from jobs.cli.night.approved_send import RetryRejected, send_approved  # noqa: PLC0415

    refused = partial(RetryRejected, code=code, conversion=conversion, destination=destination)
    return send_approved(partial(load_account, config), ApprovalOptions(yes, dry_run, json), refused)


@command(app)
def status(
    config: Config,
    *,
    reason: Annotated[
        str | None, typer.Option(metavar="CODE", help="List the leads with this reason or state, as consent_unknown.")
    ] = None,
    json: Json = False,
) -> int:
    """Show where every delivery stands, and why."""
    from jobs.cli.reporting.status import show_leads_in_state, show_status  # noqa: PLC0415

    if reason is None:
        return show_status(config, json_wanted=json)
    return show_leads_in_state(config, reason, json_wanted=json)


@command(app)
def report(
    config: Configs,
    *,
    first: Annotated[
        date | None,
        typer.Option(
            "--from", metavar="DAY", parser=parse_day_option, help="From this day on; default: 30 whole days."
        ),
    ] = None,
    last: Annotated[
        date | None,
        typer.Option(
            "--to", metavar="DAY", parser=parse_day_option, help="Up to and including this day; today at most."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the page goes. Default: the settings' report.folder, or here."),
    ] = None,
    opens: Annotated[bool, typer.Option("--open", help="Show it in a browser.")] = False,
    csv: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the numbers there too, as files for a spreadsheet.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the numbers as JSON, one object a line; a page only with --out.")
    ] = False,
) -> int:
    """Write a page of what marketing wants to know.

    Signed sales from ads, what the platforms know of them, what can still be saved, and who can do what. Reads only
    what the nights have kept, and changes nothing.
    """
    from jobs.cli.reporting.report import ReportOptions, write_reports  # noqa: PLC0415

    if first is not None and last is not None and first > last:
        raise typer.BadParameter(_("--from is after --to"))
    if opens and json and out is None:
        raise typer.BadParameter(_("--json writes no page to open: write --out DIR too"), param_hint="--open")
    return write_reports(config, ReportOptions(first, last, out, csv, opens=opens, json_wanted=json))


@command(app, "Exit codes: 0 each address took it; 1 one did not; 2 wrong usage, settings or state; 70 a bug.")
def notify(
    config: Configs,
    *,
    test: Annotated[bool, typer.Option("--test", help="Send each address the summary of the last seven days.")] = False,
    json: Json = False,
) -> int:
    """Try the addresses for notices.

    Sends one message to each address under `notify`, and says what happened; the report's page is attached where the
    address is a mailbox. Without a state, the message only says that it arrives.
    """
    from jobs.cli.reporting.notify import send_trial_notices  # noqa: PLC0415

    if not test:
        raise typer.BadParameter(_("nights send notices by themselves; to try the addresses, add --test"))
    return send_trial_notices(config, json_wanted=json)


@command(app)
def explain(
    lead: Annotated[str, typer.Argument(metavar="LEAD", help="Oplead's id of the lead.")],
    config: Config,
    *,
    json: Json = False,
) -> int:
    """Show why a lead was sent or not.

    Everything known about it, and for each conversion its state, the reason and what to do.
    """
    from jobs.cli.lead.explain import explain_lead  # noqa: PLC0415

    return explain_lead(lead, config, json_wanted=json)


@command(
    app,
    """
    Exit codes: 0 forgotten; 1 nothing held could be matched, or something is not finished; 2 the lead is not on
    record, or wrong usage, settings or state; 70 a bug; 75 another command holds the account.
    """,
)
def forget(
    config: Config,
    *,
    lead: Annotated[str | None, typer.Option(metavar="ID", help="Oplead's id of a lead.")] = None,
    email: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="The person's e-mail address; `-` reads it from stdin.")
    ] = None,
    phone: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="The person's phone number; `-` reads it from stdin.")
    ] = None,
    not_on_record: Annotated[
        bool, typer.Option("--not-on-record", help="Keep a lead out that no night has read yet; see that ID is right.")
    ] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """Erase what is held on a person, and keep the lead out.

    Lists what the platforms were already sent, and what remains elsewhere. An address or a number is found only by
    hashes still held, and is neither stored nor logged.
    """
    from jobs.cli.lead.forget import ForgetRequest, forget_person  # noqa: PLC0415

    if sum(each is not None for each in (lead, email, phone)) != 1:
        raise typer.BadParameter(_("write one of --lead ID, --email ADDRESS and --phone NUMBER"))
    if not_on_record and lead is None:
        raise typer.BadParameter(_("--not-on-record needs --lead ID"))
    return forget_person(ForgetRequest(lead, email, phone, not_on_record), config, dry_run=dry_run, json_wanted=json)


@command(app, "Exit codes: 0 written; 2 nothing is held, or wrong usage, settings or state; 70 a bug.")
def export_person(
    config: Config,
    *,
    lead: Annotated[str, typer.Option(metavar="ID", help="Oplead's id of the lead.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it there, for its owner only, instead of to stdout.")
    ] = None,
) -> int:
    """Write all that is held on a lead, as JSON.

    For somebody who asks what is held on them; what Oplead and the platforms hold is theirs to say.
    """
    from jobs.cli.lead.export_person import export_person as export  # noqa: PLC0415

    return export(lead, config, out)


@command(app)
def sandbox(
    *,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Its folder: a new one, or one to go on with.")
    ] = None,
    rules: Annotated[bool, typer.Option("--rules", help="Print every rule it enforces, and leave.")] = False,
    seed: Seed = 7,
    leads: Leads = 1500,
    shape: Annotated[
        str | None,
        typer.Option(
            metavar="N|FILE",
            help="Have Oplead answer in a secret way, picked by this number, for `probe` to find; or as a YAML file "
            "says, an axis a line (--rules names them).",
        ),
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Have Oplead answer as the account did of which `evidence` wrote this."),
    ] = None,
    google_transport: GoogleTransport = "data_manager",
) -> int:
    """Simulate Oplead, Google and Meta on this machine.

    A strict stand-in for each, to rehearse with no account anywhere; it serves until Ctrl-C.
    """
    from jobs.cli.demo.sandbox import (  # noqa: PLC0415
        as_in_evidence,
        print_sandbox_rules,
        read_invented_leads_spec,
        serve,
    )

    if rules:
        return print_sandbox_rules()
    if out is None:
        raise typer.BadParameter(_("write where the sandbox is kept: --out DIR"), param_hint="--out")
    try:
        cast = read_invented_leads_spec(seed, leads, shape)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--shape") from None
    if evidence is not None and shape is not None:
        raise typer.BadParameter(_("--evidence says how Oplead answers: leave out --shape"), param_hint="--shape")
    return serve(out, cast if evidence is None else as_in_evidence(cast, evidence, out), google_transport)


@command(app)
def demo(
    *,
    keep: Annotated[Path | None, typer.Option("--keep", metavar="DIR", help="Keep everything there.")] = None,
    seed: Seed = 7,
    leads: Leads = 1500,
    nights: Annotated[int, typer.Option(min=1, max=50, help="Nights to play before it may end.")] = 14,
    google_transport: GoogleTransport = "data_manager",
) -> int:
    """Watch two weeks go by in a few minutes.

    Invented leads, a simulated Oplead, Google and Meta, and everything going wrong that can; no account is needed.
    """
    from jobs.cli.demo.play import play_demo  # noqa: PLC0415
    from jobs.cli.demo.sandbox import InventedLeadsSpec  # noqa: PLC0415

    return play_demo(keep, InventedLeadsSpec(seed, leads), nights, google_transport)
