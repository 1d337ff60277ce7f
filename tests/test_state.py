"""Key files, the boot number and what is remembered of peers."""

from __future__ import annotations

import base64
import contextlib
import os
import resource
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors import durable
from actors.errors import ConfigError
from actors.identity import NodeKey
from actors.state import KeyFileError, PeerRecord, StateDir, StateError, create_key, load_key

SEED = bytes(range(32))
KEY = NodeKey.from_seed(SEED)
SECRET = base64.b32encode(SEED).decode().rstrip("=").lower()
LINE = f"actors-secret-key-1 {SECRET} {KEY.id}\n"
PEER = NodeKey.from_seed(bytes(32)).id


def key_file(path: Path, content: str = LINE, mode: int = 0o600) -> Path:
    path.write_text(content)
    path.chmod(mode)
    return path


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


@contextlib.contextmanager
def no_room_on_the_disk() -> Iterator[None]:
    """Every write to a file fails, as the kernel makes it fail for a process at its file size limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# -- key files --------------------------------------------------------------------------------------------


def test_a_key_file_is_one_documented_line(tmp_path: Path) -> None:
    assert load_key(key_file(tmp_path / "key")).seed() == SEED


def test_a_new_key_is_its_owners_alone_and_loads_again(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "a"
    key = create_key(path)
    assert load_key(path).seed() == key.seed()
    assert mode_of(path) == 0o600
    assert mode_of(path.parent) == 0o700
    assert path.read_text().split()[2] == str(key.id)


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = key_file(tmp_path / "key")
    with pytest.raises(KeyFileError, match="exists already"):
        create_key(path)
    assert path.read_text() == LINE


def test_a_key_is_not_made_through_a_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyFileError):
        create_key(tmp_path / "key")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o604, 0o644, 0o601])
def test_a_key_file_open_to_others_is_refused_with_the_command_that_mends_it(tmp_path: Path, mode: int) -> None:
    path = key_file(tmp_path / "key", mode=mode)
    with pytest.raises(KeyFileError) as caught:
        load_key(path)
    assert isinstance(caught.value, ConfigError)
    assert caught.value.code == "key_file"
    assert caught.value.hint == f"run: chmod 600 {path}"
    assert f"{mode:04o}" in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = key_file(tmp_path / "key")
    os.chown(path, 65534, -1)
    with pytest.raises(KeyFileError, match="another user"):
        load_key(path)


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(KeyFileError, match="not a file"):
            load_key(path)


def test_a_missing_key_file_is_refused_with_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="no key file") as caught:
        load_key(tmp_path / "key")
    assert caught.value.hint == f"make one: actors keygen {tmp_path / 'key'}"


def test_a_path_through_a_file_is_refused(tmp_path: Path) -> None:
    for use in (load_key, create_key):
        with pytest.raises(KeyFileError, match=r"cannot be (read|written)"):
            use(key_file(tmp_path / "key") / "key")


OTHER = NodeKey.from_seed(b"\x01" * 32)
DAMAGE = {
    "empty": "",
    "binary": "\x00\x01\x02",
    "secret alone": SECRET,
    "another prefix": LINE.replace("key-1", "key-2"),
    "two lines": LINE + LINE,
    "short secret": LINE.replace(SECRET, SECRET[:-2]),
    "long secret": LINE.replace(SECRET, SECRET + "aaaa"),
    "not base32": LINE.replace(SECRET, SECRET[:-1] + "!"),
    "another character": LINE.replace(SECRET, ("b" if SECRET[0] == "a" else "a") + SECRET[1:]),
    "another node": LINE.replace(str(KEY.id), str(OTHER.id)),
    "cut short": LINE[: len(LINE) // 2],
}


@pytest.mark.parametrize("content", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_key_file_is_refused_and_nothing_of_it_is_told(tmp_path: Path, content: str) -> None:
    with pytest.raises(KeyFileError, match="damaged") as caught:
        load_key(key_file(tmp_path / "key", content))
    error: BaseException | None = caught.value
    told = "".join(traceback.format_exception(caught.value)) + caught.value.hint
    while error is not None:
        told += repr(error) + repr(vars(error))
        error = error.__cause__ or error.__context__
    assert SECRET[:12] not in told
    assert content.strip() not in told or not content.strip()


def test_no_secret_is_in_a_repr(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state")
    key = state.key()
    secret = (tmp_path / "state" / "key").read_text().split()[1]
    for shown in (repr(key), str(key), repr(state), repr(vars(state))):
        assert secret[:12] not in shown
        assert key.seed().hex()[:12] not in shown


def test_a_key_in_place_of_its_path_is_refused_and_not_shown() -> None:
    for use in (load_key, create_key):
        with pytest.raises(KeyFileError, match="this is a key itself") as caught:
            use(LINE.strip())
        assert SECRET not in str(caught.value) + caught.value.hint


def test_no_key_file_stays_behind_when_the_disk_is_full(tmp_path: Path) -> None:
    with no_room_on_the_disk(), pytest.raises(KeyFileError, match="cannot be written"):
        create_key(tmp_path / "key")
    assert list(tmp_path.iterdir()) == []


# -- the state folder -------------------------------------------------------------------------------------


def test_a_state_folder_is_its_owners_alone_and_keeps_the_key(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state"
    key = StateDir(path).key()
    assert mode_of(path) == 0o700
    assert mode_of(path / "key") == 0o600
    assert StateDir(path).key().id == key.id


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_a_state_folder_that_others_can_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "state"
    path.mkdir()
    path.chmod(mode)
    with pytest.raises(StateError, match="other users can write") as caught:
        StateDir(path)
    assert f"chmod 700 {path}" in caught.value.hint


def test_a_file_in_place_of_the_state_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(StateError, match="not a folder"):
        StateDir(tmp_path / "state")
    with pytest.raises(StateError, match="cannot be made"):
        StateDir(tmp_path / "state" / "below")


def test_the_boot_number_is_the_clock_at_the_first_start(tmp_path: Path) -> None:
    assert StateDir(tmp_path).next_boot(1_700_000_000_000) == 1_700_000_000_000


@pytest.mark.parametrize("clock", [1_700_000_000_000, 1_699_913_600_000, 0, -5])
def test_the_boot_number_grows_when_the_clock_stands_or_was_set_back(tmp_path: Path, clock: int) -> None:
    # PROTOCOL I1
    first = StateDir(tmp_path).next_boot(1_700_000_000_000)
    assert StateDir(tmp_path).next_boot(clock) == first + 1


def test_a_boot_number_can_be_raised_above_what_a_peer_holds(tmp_path: Path) -> None:
    # PROTOCOL I3
    state = StateDir(tmp_path)
    state.next_boot(1000)
    assert state.boot_above(5000) == 5001
    assert state.boot_above(10) == 5002
    assert StateDir(tmp_path).next_boot(1000) == 5003


def test_a_peer_cannot_use_up_the_boot_numbers(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    with pytest.raises(StateError, match="no clock gives"):
        state.boot_above((1 << 64) - 2)
    assert state.boot_above((1 << 63) - 1) == 1 << 63
    assert StateDir(tmp_path).next_boot(1000) == (1 << 63) + 1


@pytest.mark.parametrize("content", ["", "many", "-3", "1_000", "12\n13\n", "9" * 21, "\x00"])
def test_a_damaged_boot_number_is_refused_with_the_command_that_mends_it(tmp_path: Path, content: str) -> None:
    (tmp_path / "boot").write_text(content)
    with pytest.raises(StateError) as caught:
        StateDir(tmp_path).next_boot(1000)
    assert caught.value.code == "state_file"
    assert f"rm {tmp_path / 'boot'}" in caught.value.hint


def test_the_last_boot_number_of_all_is_refused(tmp_path: Path) -> None:
    (tmp_path / "boot").write_text(str((1 << 64) - 1))
    with pytest.raises(StateError, match="no boot number above"):
        StateDir(tmp_path).next_boot(1000)


def test_the_old_boot_number_stays_when_the_disk_is_full(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    state.next_boot(1000)
    with no_room_on_the_disk(), pytest.raises(StateError, match="cannot be written"):
        state.next_boot(2000)
    assert (tmp_path / "boot").read_text() == "1000\n"
    assert {path.name for path in tmp_path.iterdir()} == {"boot", "peers"}


def test_a_write_cut_short_by_a_crash_changes_nothing(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    state.next_boot(1000)
    (tmp_path / "boot.new").write_text("20")
    (tmp_path / "peers" / f"{PEER}.new").write_text("{")
    assert StateDir(tmp_path).peers() == {}
    assert StateDir(tmp_path).next_boot(500) == 1001


def test_what_is_written_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deeds: list[str] = []
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        name = os.readlink(f"/proc/self/fd/{descriptor}") if Path("/proc/self/fd").is_dir() else "?"
        deeds.append(f"flush {Path(name).name}")
        real_fsync(descriptor)

    def replace(self: Path, target: Path) -> Path:
        deeds.append("rename")
        return real_replace(self, target)

    state = StateDir(tmp_path)
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    state.next_boot(1000)
    flushed = [deed.split()[0] for deed in deeds]
    assert flushed == ["flush", "rename", "flush"]
    assert deeds[0] in ("flush boot.new", "flush ?")
    assert deeds[2] in (f"flush {tmp_path.name}", "flush ?")


def test_records_of_peers_are_kept_replaced_and_forgotten(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    state.store_peer(PEER, PeerRecord(b"\x00\xff advert 1", "192.0.2.1", ("console",)))
    state.store_peer(OTHER.id, PeerRecord())
    state.store_peer(PEER, PeerRecord(b"\x00\xff advert 2"))
    assert StateDir(tmp_path).peers() == {PEER: PeerRecord(b"\x00\xff advert 2"), OTHER.id: PeerRecord()}
    state.forget_peer(PEER)
    state.forget_peer(PEER)
    assert StateDir(tmp_path).peers() == {OTHER.id: PeerRecord()}


def test_a_record_of_a_later_version_loads(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    (tmp_path / "peers" / str(PEER)).write_text('{"advert": null, "holders": ["console"], "colour": "red"}')
    assert state.peers() == {PEER: PeerRecord(holders=("console",))}


@pytest.mark.parametrize("content", [b"", b"{", b'{"holders": 3}', b'{"advert": "!"}', b"\xff", b"[" * 60_000])
def test_a_damaged_record_is_refused_with_the_command_that_mends_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "peers" / str(PEER)
    state = StateDir(tmp_path)
    path.write_bytes(content)
    with pytest.raises(StateError, match="not the record") as caught:
        state.peers()
    assert caught.value.hint.endswith(f"rm {path}")


def test_a_record_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    (tmp_path / "peers" / str(PEER)).mkdir()
    for use in (state.peers, lambda: state.forget_peer(PEER), lambda: state.store_peer(PEER, PeerRecord())):
        with pytest.raises(StateError, match="cannot be"):
            use()


def test_a_file_is_never_created_over_another(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        durable.create(tmp_path / "a", b"new")
    assert durable.read(tmp_path / "a") == b"old"
