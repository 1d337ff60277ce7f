"""Whatever bytes a stranger, a peer, a client or a damaged disk gives: a value or the declared error, and soon.

The same targets run for as long as one likes with `scripts/fuzz`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random
from typing import NoReturn

import pytest
from fuzz_machines import Bench, to_a_dialer, to_an_acceptor
from fuzz_mutation import LONGEST, Shape, mutate, split
from fuzz_seeds import conversations, honest
from fuzz_targets import Target, targets
from fuzzing import CORPUS, HANGS, Hang, corpus, judge, no_hang, saved, smallest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import msgpack

from actors.errors import ProtocolError
from actors.net import wire
from actors.net.messages import Accepted, Ping
from actors.net.proving.handshake import Acceptor, Dialer

ROOT = Path(__file__).parent.parent
NAMES = (
    "frame", "stream", "run", "dialer", "acceptor", "link", "advert", "address", "node-id", "control", "control-reply",
    "config", "key", "state",
)  # fmt: skip


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    return targets(tmp_path_factory.mktemp("fuzz"))


def test_every_target_has_its_test(known: dict[str, Target]) -> None:
    assert tuple(known) == NAMES


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_wrong_bytes_end_in_a_value_or_in_the_declared_error(known: dict[str, Target], name: str) -> None:
    target = known[name]
    wrong = st.builds(
        lambda data, chance: mutate(data, target.shape, target.seeds, chance),
        st.sampled_from(target.seeds),
        st.randoms(use_true_random=False) | st.integers(0, 2**64 - 1).map(Random),
    )

    @settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
    @given(wrong | st.binary(max_size=300))
    def feed(data: bytes) -> None:
        with no_hang():
            target.take(data)

    feed()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_valid_is_taken(known: dict[str, Target], name: str) -> None:
    for data in known[name].seeds:
        assert judge(known[name], data) is None


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_what_was_found_once_is_found_no_more(known: dict[str, Target], path: Path) -> None:
    ((target, _),) = [each for each in corpus(known) if each[1] == path]
    found = judge(target, path.read_bytes())
    assert found is None, found


# -- the targets reach what they are for ----------------------------------------------------------------------


def test_valid_frames_prove_both_sides_of_a_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = honest()  # made once, by a handshake of their own
    reached = list[str]()
    accept, verdict = Acceptor.accept, Dialer.verdict

    def accepting(self: Acceptor, *, epoch: int, permanent: bool) -> bytes:
        reached.append("accept")
        return accept(self, epoch=epoch, permanent=permanent)

    def hearing(self: Dialer, frame: memoryview | bytes) -> Accepted:
        reached.append("verdict")
        return verdict(self, frame)

    monkeypatch.setattr(Acceptor, "accept", accepting)
    monkeypatch.setattr(Dialer, "verdict", hearing)
    to_an_acceptor(frames["request"] + frames["proof"])
    to_a_dialer(frames["reply"] + frames["accepted"])
    assert reached == ["accept", "verdict"]


def test_valid_conversations_move_messages_both_ways() -> None:
    delivered = refused = received = 0
    for data in conversations():
        bench = Bench()
        try:
            for frame in split(data):
                if bench.link.reason is None:
                    bench.hear(memoryview(frame)[4:])
        except ProtocolError as error:
            pytest.fail(f"a conversation that is not legal: {error}")
        assert bench.half.receive is not None
        received += bench.half.receive.received
        bench.end()
        delivered += bench.outbox.transmit.ledger.delivered
        refused += bench.outbox.transmit.ledger.refused
    assert received > 10
    assert delivered > 5
    assert refused


# -- what finds must find -------------------------------------------------------------------------------------


def _stumbles(data: bytes) -> None:
    try:
        record = wire.decode(data)
    except ProtocolError:
        return
    if isinstance(record, Ping) and record.token > 2**40:
        raise KeyError("a planted bug")


def _never(_: bytes) -> NoReturn:
    while True:
        pass


def _planted(take: object) -> Target:
    return Target("planted", Shape.FRAME, (b"\xa0" + msgpack.encode([1]),), take)  # type: ignore[arg-type]


def test_a_planted_bug_is_found_kept_and_made_small(tmp_path: Path) -> None:
    target, chance = _planted(_stumbles), Random(1)
    tried = (mutate(target.seeds[0], target.shape, target.seeds, chance) for _ in range(5000))
    data, found = next((data, found) for data in tried if (found := judge(target, data)) is not None)
    assert found.what == "KeyError: 'a planted bug'"
    small = smallest(target, data + b"", found.where)
    assert judge(target, small) == found
    assert len(small) <= len(data)
    assert saved(found, small, tmp_path / "new").read_bytes() == small


def test_an_input_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    assert HANGS >= 1
    monkeypatch.setattr("fuzzing.HANGS", 0.05)
    with no_hang():
        found = judge(_planted(_never), b"")
    assert found is not None
    assert found.what.startswith(Hang.__name__)


def test_the_same_chance_makes_the_same_inputs(known: dict[str, Target]) -> None:
    for target in known.values():
        made = [[mutate(target.seeds[0], target.shape, target.seeds, Random(seed)) for seed in range(50)] for _ in "ab"]
        assert made[0] == made[1]
        assert len(set(made[0])) > 10
        assert max(map(len, made[0])) <= LONGEST


# -- the command ----------------------------------------------------------------------------------------------


def fuzz(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "CHECK_PYTHON": sys.executable}
    command = [str(ROOT / "scripts" / "fuzz"), *options]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_the_command_counts_what_it_did_and_says_how(tmp_path: Path) -> None:
    ran = fuzz(tmp_path, "--for", "0.3s", "--plain", "--seed", "7", "--target", "frame", "--target", "key")
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["frame", "key"]
    assert all(int(line.split()[1].replace(",", "")) > 20 for line in lines[:2])
    assert lines[2].startswith("2 targets, ")
    assert lines[2].endswith("0 findings; valid inputs changed at random, seed 7, blind to coverage")


@pytest.mark.slow
def test_one_input_can_be_fed_again_and_a_wrong_word_is_told(tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(b"\x81\xff")
    again = fuzz(tmp_path, "--target", "frame", "--input", "input")
    assert (again.returncode, again.stdout) == (0, "frame takes input\n")
    unknown = fuzz(tmp_path, "--target", "fame")
    assert unknown.returncode == 2
    assert "there is no target fame; there are: frame, stream" in unknown.stderr


def fuzz_with(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """With the targets that lie in this folder."""
    command = [sys.executable, str(ROOT / "scripts" / "fuzz.py"), *options]
    environ = {"PYTHONPATH": f"{folder}:{ROOT}:{ROOT / 'tests'}"}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False)


def plant(folder: Path, line: str) -> None:
    start = "def frame(data: bytes) -> None:\n"
    text = (ROOT / "tests" / "fuzz_targets.py").read_text()
    assert start in text
    (folder / "fuzz_targets.py").write_text(text.replace(start, f"{start}    {line}\n"))


@pytest.mark.slow
def test_what_is_found_ends_with_1_the_input_and_the_line_that_repeats_it(tmp_path: Path) -> None:
    plant(tmp_path, "assert len(data) % 7, 'planted'")
    ran = fuzz_with(tmp_path, "--for", "0.5s", "--plain", "--target", "frame")
    assert ran.returncode == 1, ran.stderr
    assert "FOUND  AssertionError: planted" in ran.stdout
    again = ran.stdout.partition("again  scripts/fuzz ")[2].splitlines()[0].split()
    repeated = fuzz_with(tmp_path, *again)
    assert (repeated.returncode, "AssertionError: planted" in repeated.stderr) == (1, True)


@pytest.mark.slow
def test_the_death_of_the_process_is_a_finding_with_its_input(tmp_path: Path) -> None:
    plant(tmp_path, "import os; len(data) % 7 or os.kill(os.getpid(), 9)")
    died = fuzz_with(tmp_path, "--for", "0.5s", "--plain", "--target", "frame")
    assert died.returncode == 1, died.stderr
    assert "FOUND  the process was ended by SIGKILL" in died.stdout
    (kept,) = (tmp_path / "fuzz-findings").iterdir()
    assert f"again  scripts/fuzz --target frame --input fuzz-findings/{kept.name}" in died.stdout
    assert len(kept.read_bytes()) % 7 == 0
