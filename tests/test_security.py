"""SECURITY.md is true: its table names tests that exist, and no key is in anything that a cluster says or writes."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha512
from pathlib import Path

import pytest
from fuzz_seeds import json_lines

from actors.control.messages import Request
from actors.keyfile import load_key

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "SECURITY.md").read_text()
POINTS = re.findall(r"^\| (\d+) \| [NPUD, ]+ \| (.*?) \| (.*?) \|$", PAGE, re.MULTILINE)


# -- the page -----------------------------------------------------------------------------------------------


def test_every_point_has_its_number() -> None:
    assert [number for number, _, _ in POINTS] == [str(number) for number in range(1, 21)]


@pytest.mark.parametrize(("number", "what", "tests"), POINTS, ids=[number for number, _, _ in POINTS])
def test_a_point_of_the_page_names_tests_that_are_there(number: str, what: str, tests: str) -> None:
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", tests)
    assert named, f"{number} ({what}) names no test"
    for file, test in named:
        assert re.search(rf"^(async )?def {test}\(", (ROOT / "tests" / file).read_text(), re.MULTILINE), test


def test_nothing_from_the_wire_is_imported_unpickled_or_evaluated() -> None:
    """What could do that stands only where a user's settings, or our own tables, name what is imported."""
    runs = re.compile(
        r"\bimport_module\(|\b__import__\(|(?<![.\w])(?:eval|exec)\(|^\s*(?:import|from) (?:pickle|marshal|shelve)\b",
        re.M,
    )
    found = [
        path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("*/**/*.py")) if runs.search(path.read_text())
    ]
    ours = [name for name in found if name.startswith(("actors/", "transports/"))]
    assert [name for name in ours if not name.startswith("actors/testing/")] == ["actors/__init__.py", "actors/app.py"]


# -- looking for keys ---------------------------------------------------------------------------------------


def forms(seed: bytes) -> Iterator[bytes]:
    """The secret in every way that somebody might write it: whole, and the first and last 16 characters of each."""
    for secret in (seed, sha512(seed).digest()[:32]):  # what a key file holds, and what signs
        texts = [
            secret.hex(),
            secret.hex(" "),
            secret.hex(":"),
            secret.hex().upper(),
            base64.b32encode(secret).decode(),
            base64.b32encode(secret).decode().lower(),
            base64.b64encode(secret).decode(),
            base64.urlsafe_b64encode(secret).decode(),
            base64.b85encode(secret).decode(),
            repr(secret)[2:-1],
            str(list(secret))[1:-1],
            str(int.from_bytes(secret, "big")),
            str(int.from_bytes(secret, "little")),
        ]
        for text in texts:
            bare = text.rstrip("=").encode()
            yield from (bare, bare[:16], bare[-16:])
        yield from (secret, secret[:8], secret[-8:])


def leaks(data: bytes, seed: bytes) -> list[bytes]:
    """What of the secret is in the data, also where a line was broken."""
    joined = re.sub(rb"\s+", b"", data)
    return [form for form in forms(seed) if form in data or re.sub(rb"\s+", b"", form) in joined]


@pytest.mark.parametrize("form", sorted(set(forms(bytes(range(100, 132))))), ids=lambda form: form[:12].hex())
def test_a_secret_that_is_planted_is_found(form: bytes) -> None:
    assert leaks(b"2026-11-23 node a said: " + form + b" and went on", bytes(range(100, 132)))
    assert leaks(b"x" + form[:5] + b"\n  " + form[5:], bytes(range(100, 132)))


def test_what_is_public_is_no_secret() -> None:
    from actors.identity import NodeKey

    key = NodeKey.generate()
    assert leaks(bytes(key.id) + str(key.id).encode() + repr(key).encode(), key.seed()) == []


# -- a cluster that says all it can -------------------------------------------------------------------------


class Said:
    """Everything that was printed, answered or written, by where it was found."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.found: dict[str, bytes] = {}
        self.environ = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
            "XDG_RUNTIME_DIR": str(folder),
            "ACTORS_DEBUG": "1",
            "PYTHONFAULTHANDLER": "1",
        }

    def actors(self, *arguments: str) -> str:
        """Run one command to its end; its stdout."""
        command = [sys.executable, "-m", "actors", *arguments]
        ran = subprocess.run(
            command, cwd=self.folder, env=self.environ, capture_output=True, timeout=60, check=False, input=b""
        )
        self.found[f"{len(self.found)}: actors {' '.join(arguments)} -> {ran.returncode}"] = ran.stdout + ran.stderr
        return ran.stdout.decode()

    @contextmanager
    def node(self, name: str) -> Iterator[subprocess.Popen[bytes]]:
        """A node process, from ready to its end; what it prints goes to files."""
        command = [sys.executable, "-m", "actors", "run", "-c", f"{name}.toml", "--json"]
        errors = self.folder / f"{name}.{len(self.found)}.stderr"
        with errors.open("wb") as stderr:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.environ, stdout=subprocess.PIPE, stderr=stderr
            )
        with process:
            assert process.stdout is not None
            ready = process.stdout.readline()
            assert ready, errors.read_text()
            for file in ("cmdline", "environ"):
                if (path := Path(f"/proc/{process.pid}/{file}")).exists():
                    self.found[f"{name}: {file}"] = path.read_bytes()
            try:
                yield process
            finally:
                process.send_signal(signal.SIGTERM)
                rest = process.stdout.read()
                process.wait(60)
                self.found[f"{errors.name} and stdout"] = ready + rest + errors.read_bytes()

    def bundle(self, *arguments: str) -> None:
        """Collect a debug bundle; what is in it, unpacked."""
        self.actors("debug", "bundle", "--out", "bundle.tar.gz", *arguments)
        with tarfile.open(self.folder / "bundle.tar.gz") as tar:
            for entry in tar:
                file = tar.extractfile(entry)
                assert file is not None
                self.found[f"bundle: {entry.name}"] = file.read()

    def control(self, name: str, *lines: bytes) -> bytes:
        """Ask over the control socket, a line after the other; all answers."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(str(self.folder / "actors" / "run" / f"{name}.sock"))
            answers = b""
            with client.makefile("rwb") as stream:
                for line in lines:
                    stream.write(line + b"\n")
                    stream.flush()
                    answers += stream.readline()
        self.found[f"{len(self.found)}: {name} answered"] = answers
        return answers

    def events(self, name: str) -> socket.socket:
        """A client that follows the node's events."""
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(60)
        client.connect(str(self.folder / "actors" / "run" / f"{name}.sock"))
        client.sendall(b'{"do": "events"}\n')
        assert b"done" in client.recv(100)
        return client

    def drain(self, client: socket.socket, what: str) -> None:
        """All events until the node's end."""
        data = b""
        with client:
            while more := client.recv(65536):
                data += more
        self.found[what] = data


def config(folder: Path, name: str, *peers: str) -> None:
    lines = [f'name = "{name}"', f'key = "{name}.key"', f'state_dir = "{name}.state"', 'app = "cluster_app:setup"']
    lines += ['record = "kept"']
    (folder / f"{name}.toml").write_text("\n".join([*lines, f"peers = {json.dumps(list(peers))}"]) + "\n")


def mistakes(said: Said) -> None:
    """Everything that can be wrong with a key, and each error that it makes."""
    line = (said.folder / "a.key").read_text()
    for number, damaged in enumerate((line[:-3], line.replace(" ", ""), "x" + line)):
        path = said.folder / f"damaged-{number}.key"
        path.write_text(damaged)
        path.chmod(0o600)
        said.actors("run", "--key", path.name)
    opened = said.folder / "open.key"
    opened.write_text(line)
    opened.chmod(0o644)
    said.actors("run", "--key", opened.name, "--json")
    said.actors("keygen", "a.key")
    said.actors("run", "--key", line.strip())
    said.actors("keygen", line.strip(), "--json")
    said.actors("doctor", "--json", "-c", _with_key(said.folder, path.name))


def _with_key(folder: Path, key: str) -> str:
    (folder / "damaged.toml").write_text(f'key = "{key}"\n')
    return "damaged.toml"


def harm(port: int) -> None:
    """A stranger talks nonsense."""
    for words in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64, b"\0\0\0\x05\x81\xff\xff\xff\xff"):
        with socket.create_server(("127.0.0.1", 0)), socket.create_connection(("127.0.0.1", port), 60) as stream:
            stream.sendall(words)
            while stream.recv(4096):
                pass


@pytest.mark.slow
def test_no_key_is_in_anything_that_a_cluster_says_or_writes(tmp_path: Path) -> None:
    said = Said(tmp_path)
    for name in "ab":
        assert len(said.actors("keygen", f"{name}.key", "--json")) > 50
    mistakes(said)
    config(tmp_path, "a")
    with ExitStack() as stack:
        stack.enter_context(said.node("a"))
        advert = said.actors("advert", "a", "--cluster", "run").strip()
        assert advert.startswith("advert1:")
        config(tmp_path, "b", advert)
        events = said.events("a")
        with said.node("b") as b:
            following = said.events("b")
            for command in (["ls", "nodes"], ["ls", "proxies"], ["ls", "engines"], ["advert", "b"]):
                said.actors(*command, "--cluster", "run", "--json")
            said.actors("ls", "nodes", "--cluster", "run")
            add = ["b/counter", "counter.add", '{"amount": 2}', "--cluster", "run"]
            assert json.loads(said.actors("ask", *add, "--json"))["ok"]
            for verb in ("ask", "send", "tell"):
                said.actors(verb, "b/counter", "fail", "{}", "--cluster", "run", "--json")
            said.actors("send", "b/nobody", "fail", "{}", "--cluster", "run")
            for line in json_lines(Request):
                if json.loads(line)["do"] not in ("stop", "events", "cancel"):
                    said.control("b", line)
            said.actors("proxy", "b", "a", "--close", "--cluster", "run", "--json")
            harm(_port(said, "b"))
            said.actors("doctor", "-c", "b.toml", "--json")
            (tmp_path / "words.log").write_text(f"somebody has printed {(tmp_path / 'b.key').read_text()}\n")
            said.bundle("--log", "words.log", "-c", "a.toml", "-c", "b.toml", "--cluster", "run")
            b.send_signal(signal.SIGABRT)  # with the fault handler: a dump of all its stacks
            b.wait(60)
            said.drain(following, "events of b")
        with said.node("b"):
            said.actors("ls", "proxies", "--cluster", "run", "--json")
            said.actors("down", "--cluster", "run")
    said.drain(events, "events of a")
    for node in "ab":
        said.actors("replay", "kept", "--node", node, "--json")
    (tmp_path / "words.log").unlink()
    for path in tmp_path.rglob("*"):
        if path.is_file() and not path.name.endswith("key"):
            said.found[str(path.relative_to(tmp_path))] = path.read_bytes()

    assert b"Fatal Python error: Aborted" in b"".join(said.found.values()), "no dump was looked at"
    assert b"engine-crashed" in said.found["events of b"]
    assert b"somebody has printed [a key]" in b"".join(said.found.values()), "no bundle was looked at"
    assert any(re.fullmatch(r"kept/b/\d/000001.rec", where) for where in said.found), "no record was looked at"
    assert b"hostile-connection" in said.found["events of b"]
    assert b"connected" in said.found["events of a"]
    for name in "ab":
        seed = load_key(tmp_path / f"{name}.key").seed()
        assert [(where, form) for where, data in said.found.items() for form in leaks(data, seed)] == []


def _port(said: Said, name: str) -> int:
    node = json.loads(said.control(name, b'{"do": "node"}'))["node"]
    return int(node["addresses"][0].rpartition(":")[2])
