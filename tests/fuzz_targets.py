"""Everything that reads what somebody else wrote, as functions of bytes: what `scripts/fuzz` and test_fuzz feed.

A target takes any bytes and returns. Whatever it raises is a finding: each catches the errors that its decoder
declares, and asserts what must hold of what was decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

import msgspec
import trio
from fuzz_engine import Add, Counter, Meet
from fuzz_machines import to_a_dialer, to_a_proven_link, to_an_acceptor
from fuzz_mutation import Shape, split
from fuzz_seeds import (
    ADDRESSES,
    TOML,
    conversations,
    honest,
    json_lines,
    key_line,
    node_ids,
    peer_records,
    texts,
    vectors,
    whole_frames,
)
from handshake_pair import ALICE
from msgspec import Struct, msgpack

from actors.config import SettingError, advert_lines, load_config
from actors.control.compose import AnyRequest, compose, decode_message, readable
from actors.control.failures import ControlError
from actors.control.foreign import foreign
from actors.control.lines import LineReader, LineTooLongError
from actors.control.messages import Failed, Reply, Request
from actors.control.reading import read_request
from actors.errors import IdentityError, ProtocolError
from actors.identity import EngineID, NodeID
from actors.keyfile import KeyFileError, load_key
from actors.net import wire
from actors.net.proving.adverts import AdvertError, NodeAdvert, consider, next_version
from actors.runtime.codec import Codec, encode, reason, reply_decoder
from actors.state import StateDir, StateError
from transports.addresses import is_loopback, parse_address, source_of
from transports.errors import AddressError, FrameError
from transports.frames import BUSY, FrameBuffer

LIMIT = 4096
SEED = bytes(range(64, 96))
"""The secret half of the key in the files of target `key`."""


class Target(Struct, frozen=True):
    """One reader of other people's bytes."""

    name: str
    shape: Shape
    seeds: tuple[bytes, ...]
    """Valid inputs."""
    take: Callable[[bytes], object]


# -- between nodes ------------------------------------------------------------------------------------------


def frame(data: bytes) -> None:
    """One frame without its length. What is a record is the same one when it is encoded and decoded again."""
    with suppress(ProtocolError):
        record = wire.decode(data)
        if record is not None:
            assert wire.decode(wire.encode(record)[4:]) == record
    with suppress(ProtocolError):
        wire.decode_messages(memoryview(data))
    with suppress(ProtocolError):
        wire.unsigned(data)


def stream(data: bytes) -> None:
    """Frames out of a byte stream that comes in pieces. The buffer never grows beyond what has come."""
    buffer, found, rest = FrameBuffer(LIMIT), list[bytes](), data
    try:
        while rest:
            room = buffer.writable()
            count = min(len(room), len(rest), 1 + rest[0] * 7)
            room[:count], rest = rest[:count], rest[count:]
            buffer.commit(count)
            found += [bytes(each) for each in buffer]
    except FrameError:
        pass
    assert buffer.size <= max(BUSY, 4 + LIMIT)
    assert [whole[4:] for whole in split(data)][: len(found)] == found


def run(data: bytes) -> None:
    """The payload of a run, for an engine that reads it by its own types, and what is refused of it."""
    codec = Codec.of(Counter)
    count = data[0] & 0x0F if data else 0
    with suppress(ProtocolError):
        for at, message in enumerate(codec.tells(data, count)):
            assert message is not None or codec.why(data, at) in ("bad_message", "unhandled")
    with suppress(ProtocolError):
        for at, (_, message) in enumerate(codec.asks(data, count)):
            assert message is not None or codec.why(data, at, ask=True) in ("bad_message", "unhandled")
    for kind in (Add, Meet):
        with suppress(ProtocolError):
            reply_decoder(kind)(data)
    with suppress(ProtocolError):
        assert len(reason(data)) <= 40


RUNS: tuple[object, ...] = (
    [Add(1, (2, 3), "x"), Add(-1)],
    [Meet(ALICE.id, EngineID(None, "counter"))],
    [[7, Add(1)], [8, Meet(ALICE.id)]],
    5,
    bytes(ALICE.id),
    "unhandled",
)


def advert(data: bytes) -> None:
    """The bytes of an advert, from a peer. Only what its node signed is believed."""
    own = NodeAdvert.read(vectors()["advert"])
    with suppress(AdvertError):
        read = NodeAdvert.read(data)
        assert NodeAdvert.parse(str(read)) == read
        assert data == own.data, "nobody else has signed one"
    assert consider(data, lambda _: own).reply is not None
    assert next_version(own, data) is None
    with suppress(AdvertError):
        NodeAdvert.parse(data.decode("utf-8", "surrogateescape"))


def address(data: bytes) -> None:
    """An address as a URL, or a host alone. One that is read is written in one way only."""
    text = data.decode("utf-8", "surrogateescape")
    with suppress(AddressError):
        read = parse_address(text)
        assert parse_address(str(read)) == read
        assert not (read.loopback and read.link_local)
    is_loopback(text)
    source_of(text)


def node_id(data: bytes) -> None:
    """A NodeID, as bytes and as text. One that is read is written in one way only."""
    with suppress(IdentityError):
        assert NodeID(data) == data
    with suppress(IdentityError):
        text = data.decode("utf-8", "surrogateescape")
        assert str(NodeID.parse(text)) == text


# -- the control socket -------------------------------------------------------------------------------------


def control(data: bytes) -> None:
    """Lines from a client, and what the node makes of the messages in them."""
    for line in _lines(data)[:16]:
        request = read_request(line)
        assert isinstance(msgspec.json.encode(request), bytes)
        if isinstance(request, Failed):
            assert request.code == "bad_request"
        with suppress(ControlError):
            _compose(getattr(request, "fields", {}))
        with suppress(ControlError):
            _pass_on(getattr(request, "payload", b""))


def _lines(data: bytes) -> list[bytes]:
    """Read as the server does. Its reader never waits here, so that its coroutine ends at the first step."""
    reader, found = LineReader(cast(trio.abc.ReceiveStream, _Given(data)), LIMIT), list[bytes]()

    async def read() -> None:
        with suppress(LineTooLongError):
            while (line := await reader.read()) is not None:
                found.append(line)

    with suppress(StopIteration):
        read().send(None)
        raise AssertionError("the reader waits, and nothing is to come")
    return found


class _Given:
    """A stream that has come already, in pieces."""

    def __init__(self, data: bytes) -> None:
        self._rest = data

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        count = 1 + self._rest[0] * 7 if self._rest else 0
        given, self._rest = self._rest[:count], self._rest[count:]
        return given


def _compose(fields: dict[str, object]) -> None:
    def anywhere(text: str) -> EngineID:
        raise ControlError("unknown_node", text)

    for kind in (Add, Meet):
        with suppress(ControlError):
            readable(decode_message("counter", (Add, Meet), encode(compose(kind, fields, anywhere))))


def _pass_on(payload: bytes) -> None:
    messages: tuple[type[AnyRequest], ...] = (Add, Meet)
    with suppress(ControlError):
        readable(decode_message("counter", messages, payload))
    assert msgpack.encode(foreign(payload))


_reply = msgspec.json.Decoder(Reply).decode


def control_reply(data: bytes) -> None:
    """A line from a node, to a client."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        _reply(data)


# -- files --------------------------------------------------------------------------------------------------


class Files:
    """Readers of files, each with one of its own in this folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state = StateDir(folder / "state")

    def config(self, data: bytes) -> None:
        """The settings of a node from TOML, and from the environment. Whatever is wrong with them has a hint."""
        file = self._written("node.toml", data)
        with self._suppressed(SettingError):
            list(advert_lines(load_config(file)))
        text = data.decode("utf-8", "surrogateescape")
        for name in ("ACTORS_LISTEN", "ACTORS_KEY", "ACTORS_LIMITS_PEERS", "ACTORS_LIMITS_DRAIN_SECONDS", text):
            with self._suppressed(SettingError, KeyFileError):
                load_config(environ={name: text})

    def key(self, data: bytes) -> None:
        """A key file. Nothing of the secret is in what is said about it."""
        file = self._written("key", data)
        secret = key_line(SEED).split()[1].decode()
        with self._suppressed(KeyFileError, hides=(secret[:16], secret[-16:])):
            load_key(file)

    def state(self, data: bytes) -> None:
        """The files of the state folder: the boot number, and the record of a peer."""
        self._written("state/boot", data)
        with self._suppressed(StateError):
            assert self._state.next_boot(5) >= 5
        self._written(f"state/peers/{ALICE.id}", data)
        with self._suppressed(StateError):
            self._state.peers()

    def _written(self, name: str, data: bytes) -> Path:
        path = self._folder / name
        path.touch(0o600)
        path.write_bytes(data)
        return path

    @contextmanager
    def _suppressed(self, *errors: type[Exception], hides: tuple[str, ...] = ()) -> Iterator[None]:
        try:
            yield
        except errors as error:
            _check_words(error, hides)


def _check_words(error: Exception, hides: tuple[str, ...]) -> None:
    assert getattr(error, "hint", ""), "it does not say what to do"
    assert not any(part in f"{error} {error!r}" for part in hides), "it tells a secret"
    assert error.__cause__ is None or not hides, "it hands on an error that may tell a secret"


def targets(folder: Path) -> dict[str, Target]:
    """All of them by name. Those that read files use this folder, which must be theirs alone."""
    files, page, steps = Files(folder), vectors(), honest()
    found = (
        Target("frame", Shape.FRAME, tuple(whole[4:] for whole in whole_frames()), frame),
        Target("stream", Shape.FRAMES, (b"".join(whole_frames()), *whole_frames()), stream),
        Target("run", Shape.VALUE, tuple(map(encode, RUNS)), run),
        Target(
            "dialer",
            Shape.FRAMES,
            (steps["reply"] + steps["accepted"], steps["reply"] + steps["refused"], page["hint-denied"]),
            to_a_dialer,
        ),
        Target("acceptor", Shape.FRAMES, (steps["request"] + steps["proof"],), to_an_acceptor),
        Target("link", Shape.FRAMES, conversations(), to_a_proven_link),
        Target("advert", Shape.VALUE, (page["advert"], *texts("advert-text")), advert),
        Target("address", Shape.TEXT, ADDRESSES, address),
        Target("node-id", Shape.TEXT, node_ids(), node_id),
        Target("control", Shape.TEXT, (*json_lines(Request), b"\n".join(json_lines(Request))), control),
        Target("control-reply", Shape.TEXT, json_lines(Reply), control_reply),
        Target("config", Shape.TEXT, TOML, files.config),
        Target("key", Shape.TEXT, (key_line(SEED),), files.key),
        Target("state", Shape.TEXT, (b"1700000000000\n", *peer_records()), files.state),
    )
    return {target.name: target for target in found}
