"""The settings of a node, from all their sources."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from actors.config import UNLIMITED, Limits, NodeConfig, SettingError, advert_lines, load_config
from actors.errors import ConfigError
from actors.keyfile import PREFIX


@pytest.fixture
def toml(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "node.toml"
        path.write_text(text, "utf-8")
        return path

    return write


Toml = Callable[[str], Path]


def test_there_are_defaults_for_everything() -> None:
    config = load_config()
    assert config == NodeConfig()
    assert config.listen == ("tcp://127.0.0.1:0",)
    assert not config.insecure


def test_nothing_is_unlimited_by_default() -> None:
    assert all(getattr(Limits(), field) < UNLIMITED for field in Limits.__struct_fields__)


def test_every_setting_can_stand_in_a_file(toml: Toml, tmp_path: Path) -> None:
    config = load_config(
        toml("""
            name = "a"
            key = "keys/a"
            state_dir = "/var/lib/a"
            listen = ["tcp://127.0.0.1:4000", "memory://a"]
            peers = ["line one", "line two"]
            adverts = ["b.advert"]
            engines = ["myapp:Counter", "my.app:Echo"]
            app = "myapp:setup"
            allow = ["192.0.2.0/24"]
            deny = ["::1"]
            insecure = true
            [limits]
            outbox_messages = 10
            drain_seconds = 2
            """)
    )
    assert config == NodeConfig(
        name="a",
        key=tmp_path / "keys/a",
        state_dir=Path("/var/lib/a"),
        listen=("tcp://127.0.0.1:4000", "memory://a"),
        peers=("line one", "line two"),
        adverts=(tmp_path / "b.advert",),
        engines=("myapp:Counter", "my.app:Echo"),
        app="myapp:setup",
        allow=("192.0.2.0/24",),
        deny=("::1",),
        insecure=True,
        limits=Limits(outbox_messages=10, drain_seconds=2.0),
    )


def test_every_setting_can_stand_in_the_environment() -> None:
    environ = {
        "ACTORS_NAME": "a",
        "ACTORS_KEY": "keys/a",
        "ACTORS_LISTEN": "tcp://127.0.0.1:4000, memory://a",
        "ACTORS_INSECURE": "true",
        "ACTORS_LIMITS_OUTBOX_MESSAGES": "10",
        "ACTORS_LIMITS_DRAIN_SECONDS": "2.5",
        "ACTORS_APP": "",
        "HOME": "/nowhere",
    }
    assert load_config(environ=environ) == NodeConfig(
        name="a",
        key=Path("keys/a"),
        listen=("tcp://127.0.0.1:4000", "memory://a"),
        insecure=True,
        limits=Limits(outbox_messages=10, drain_seconds=2.5),
    )


def test_flags_come_before_the_environment_and_that_before_the_file(toml: Toml) -> None:
    file = toml('name = "file"\napp = "file:setup"\n[limits]\npeers = 1\nunproven = 1\n')
    environ = {"ACTORS_NAME": "environ", "ACTORS_APP": "environ:setup", "ACTORS_LIMITS_PEERS": "2"}
    config = load_config(file, environ=environ, flags={"name": "flag", "app": None, "limits.frame_bytes": "131072"})
    assert (config.name, config.app) == ("flag", "environ:setup")
    assert config.limits == Limits(peers=2, unproven=1, frame_bytes=131_072)


def test_a_home_folder_is_found_in_a_path(toml: Toml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home-of-a")
    assert load_config(toml('key = "~/key"')).key == Path("/home-of-a/key")


def test_unlimited_must_be_written_out(toml: Toml) -> None:
    assert load_config(toml('limits.mailbox_bytes = "unlimited"')).limits.mailbox_bytes == UNLIMITED
    for wrong in ('limits.mailbox_bytes = "infinite"', "limits.mailbox_bytes = 0", 'name = "a"\nlimits.peers = -1'):
        with pytest.raises(SettingError, match=r"limits\."):
            load_config(toml(wrong))
    with pytest.raises(SettingError, match="expected float"):
        load_config(toml('limits.drain_seconds = "unlimited"'))


@pytest.mark.parametrize(
    ("text", "what", "guess"),
    [
        ('lisen = ["tcp://127.0.0.1:0"]', "'lisen'", "did you mean 'listen'?"),
        ("[limits]\nframe_byte = 5000", "'limits.frame_byte'", "did you mean 'limits.frame_bytes'?"),
        ("zzz = 1", "'zzz'", "there are: name, key, "),
        ("[peer]\nname = 1", "'peer'", "did you mean 'peers'?"),
    ],
)
def test_an_unknown_key_is_an_error_with_a_guess(toml: Toml, text: str, what: str, guess: str) -> None:
    file = toml(text)
    with pytest.raises(SettingError) as caught:
        load_config(file)
    assert str(caught.value) == f"{file}: there is no setting {what}"
    assert guess in caught.value.hint
    assert isinstance(caught.value, ConfigError)
    assert caught.value.code == "configuration"


def test_an_unknown_flag_is_an_error_with_a_guess() -> None:
    with pytest.raises(SettingError) as caught:
        load_config(flags={"nane": "a"})
    assert caught.value.hint == "did you mean 'name'?"


def test_a_misspelt_variable_is_an_error_and_a_foreign_one_is_not() -> None:
    with pytest.raises(SettingError, match="ACTORS_LISTN") as caught:
        load_config(environ={"ACTORS_LISTN": "tcp://127.0.0.1:0"})
    assert caught.value.hint == "did you mean 'ACTORS_LISTEN'?"
    assert load_config(environ={"ACTORS_PORT_80_TCP": "x", "ACTORS_SERVICE_HOST": "x"}) == NodeConfig()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = 3", "name: expected str, got int"),
        ('name = "a/b"', "name: letters, digits"),
        ('name = ""', "name: letters, digits"),
        ('listen = "tcp://127.0.0.1:0"', "listen: expected array, got str"),
        ('listen = ["tcp://127.0.0.1:0", 3]', r"listen: expected str, got int \(number 1\)"),
        ('insecure = "true"', "insecure: expected bool, got str"),
        ("key = 3", "key: expected a path"),
        ('key = ""', "key: expected a path"),
        ('app = "myapp"', "app: written as module:function"),
        ('app = "os.system:rm -rf"', "app: written as module:function"),
        ('engines = ["myapp.Counter"]', "engines: written as module:Class"),
        ("limits = 3", "limits is a table"),
        ("[limits]\nframe_bytes = 100", "limits.frame_bytes: expected int >= 131072"),
        ("[limits]\ndrain_seconds = nan", "limits.drain_seconds: expected float > 0"),
        ("[limits]\nheartbeat_seconds = 20", "dead_seconds must be more than"),
        ("limits.links = 1\nlimits.links_kept = 2", "links_kept must not be more than limits.links"),
        ('allow = ["192.0.2.7/24"]', "allow: neither a NodeID nor a network: 192.0.2.7/24 has host bits set"),
        ('deny = ["everybody"]', "deny: neither a NodeID nor a network"),
        ("name = \nlisten = []", "is not TOML: .*line 1"),
        ("limits.peers = " + "1" * 5000, "thousands of digits"),
        ("name = " + "[" * 2000 + "]" * 2000, "a hundred deep"),
        ('key = "~nobody-of-that-name/key"', "there is no such user's home folder"),
        ('key = "a\\u0000b"', "which has no zero byte"),
    ],
)
def test_a_value_that_does_not_fit_is_an_error_that_says_where(toml: Toml, text: str, words: str) -> None:
    with pytest.raises(SettingError, match=words) as caught:
        load_config(toml(text))
    assert caught.value.hint


def test_an_error_names_the_variable_or_flag_it_comes_from() -> None:
    with pytest.raises(SettingError, match=r"^ACTORS_LIMITS_PEERS: expected int"):
        load_config(environ={"ACTORS_LIMITS_PEERS": "many"})
    with pytest.raises(SettingError, match=r"^ACTORS_INSECURE is not text in UTF-8"):
        load_config(environ={"ACTORS_INSECURE": "\udcff"})
    with pytest.raises(SettingError, match=r"^--state-dir: expected a path"):
        load_config(flags={"state_dir": 3})


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="cannot be read"):
        load_config(tmp_path / "missing.toml")
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(SettingError, match="not text in UTF-8"):
        load_config(tmp_path / "latin.toml")


def test_a_key_in_place_of_its_path_is_refused_and_not_shown(toml: Toml) -> None:
    secret = f"{PREFIX} abcdefgh ijklmnop"
    for sources in ({"environ": {"ACTORS_KEY": secret}}, {"flags": {"key": secret}}):
        with pytest.raises(ConfigError, match="a key itself") as caught:
            load_config(**sources)  # type: ignore[arg-type]
        assert "abcdefgh" not in f"{caught.value!r} {caught.value.hint}"


def test_the_lines_of_advert_files_are_read_without_comments(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("# first\nline one\n\n  line two   # of b\n")
    (tmp_path / "b").write_text("line three")
    config = load_config(flags={"adverts": [tmp_path / "a", str(tmp_path / "b")]})
    assert list(advert_lines(config)) == ["line one", "line two", "line three"]
    with pytest.raises(SettingError, match="cannot be read"):
        list(advert_lines(load_config(flags={"adverts": [str(tmp_path / "none")]})))
