"""`actors pipe`: stdin -> first node -> last node -> stdout, through a cluster of its own.

stdout is the stream's: all words, and with `--json` the envelope, go to stderr.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, cast

from actors.console.exits import Exit
from actors.console.options import flag

if TYPE_CHECKING:
    from actors.cluster import Linked
    from actors.console.pipe_report import PipeReport


async def pipe(
    *,
    nodes: Annotated[int, flag("How many; the stream goes from the first to the last.")] = 2,
    transport: Annotated[str, flag("What links them: tcp, tls, ws, wss, quic, or mixed for all.")] = "tcp",
    lines: Annotated[bool, flag("One line a message; else as many whole lines as fit into 64 KiB.")] = False,
    cuts: Annotated[int, flag("Sever the stream's connection so often, at random messages.")] = 0,
    cut_every: Annotated[float | None, flag("Sever it every so many seconds.")] = None,
    seed: Annotated[int | None, flag("Decides at which messages; drawn if left out.")] = None,
    report: Annotated[Path | None, flag("Write the figures there, as a JSON envelope.")] = None,
    json: Annotated[bool, flag("Print the figures to stderr as a JSON envelope, instead of words.")] = False,
) -> int:
    """Carry stdin through a cluster of its own, from the first node to the last, to stdout: in order, nothing lost.

    Ends with 1 if anything was not delivered.
    """
    from secrets import randbits

    from actors.cluster.processes import LISTEN
    from actors.console.choices import checked_cuts, checked_nodes, checked_seconds, checked_transport
    from actors.console.progress import open_progress
    from actors.console.stream import Stream, carry
    from transports.schemes import MISSING

    stream = Stream(
        nodes=checked_nodes(nodes, 2),
        transport=cast("Linked", checked_transport(transport, tuple(LISTEN), MISSING)),
        lines=lines,
        cuts=checked_cuts(cuts, cut_every),
        cut_every=checked_seconds("--cut-every", cut_every),
        seed=randbits(32) if seed is None else seed,
    )
    with open_report(report) as file:
        try:
            with open_progress() as progress:
                figures = await carry(stream, progress)
        except BaseException as error:
            file.write(_envelope_of_failure(error))
            raise
        file.write(envelope_of(figures))
    _say(figures, stream.cuts, json)
    return Exit.OK if figures.whole else Exit.FAILED


def open_report(path: Path | None) -> BinaryIO:
    """The file, opened before anything starts; ConfigError if that is not possible."""
    import os

    from actors.errors import ConfigError

    try:
        return (path or Path(os.devnull)).open("wb")
    except OSError as error:
        raise ConfigError(f"--report {path}: {error.strerror}") from None


def envelope_of(figures: PipeReport) -> bytes:
    """What `--report` writes at the end."""
    from actors.console.envelope import bad, good
    from actors.console.failures import now, problem_of
    from actors.console.stream import NotDelivered

    if figures.whole:
        return good(figures)
    return bad(problem_of(NotDelivered(figures.hole), now()), figures)


def words_of(figures: PipeReport, cuts: int) -> list[str]:
    """The figures for people; `cuts` were asked for."""
    size = f"{figures.bytes / 1e6:.1f} MB in {figures.messages} messages, {figures.seconds:.1f} s"
    words = [f"{size}: all delivered" if figures.whole else f"{size}: {figures.hole}"]
    if figures.reconnects:
        words.append(f"cut and resumed {figures.reconnects} times, {figures.resent} messages sent again")
    if figures.moves:
        words.append("moved to " + ", ".join(f"{scheme} {count}x" for scheme, count in figures.moves.items()))
    if figures.reconnects < cuts:
        words.append(f"the stream was over before the other {cuts - figures.reconnects} cuts could be made")
    return words


def _say(figures: PipeReport, cuts: int, json: bool) -> None:
    from actors.console.words import say, write_words

    if json:
        write_words(envelope_of(figures))
    else:
        say(*words_of(figures, cuts))


def _envelope_of_failure(error: BaseException) -> bytes:
    from actors.console.envelope import bad
    from actors.console.failures import now, principal, problem_of

    return bad(problem_of(principal(error), now(), "pipe"))
