"""What a node says of one link when somebody looks closely, in a cluster under a virtual clock."""

from __future__ import annotations

import trio
from proxies import ID, Item, bench, virtual

from actors.identity import EngineID
from actors.snapshots import LinkSnapshot, ProxySnapshot


def close_look(node: object, peer: str) -> LinkSnapshot:
    link: LinkSnapshot | None = node.link(ID[peer])  # type: ignore[attr-defined]
    assert link is not None
    return link


def proxy(node: object) -> ProxySnapshot:
    (found,) = node.proxies()  # type: ignore[attr-defined]
    assert isinstance(found, ProxySnapshot)
    return found


@virtual
async def test_a_ready_link_tells_its_past_its_address_and_what_falls_due() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        await trio.sleep(3)
        link, snapshot = close_look(nodes["a"], "b"), proxy(nodes["a"])
        assert [step.state for step in link.path] == ["dialing", "handshaking", "ready"]
        assert [step.ago for step in link.path] == sorted((step.ago for step in link.path), reverse=True)
        assert link.holders == ("node",)
        (address,) = link.addresses
        assert (address.url, address.proven, address.failures, address.error) == ("memory://b", 1, 0, "")
        assert "weight 1" in address.why
        assert link.dead_in is not None
        assert link.heard_ago is not None
        assert link.expires_in is None
        assert 2 < snapshot.since <= 3.1
        assert (snapshot.retry_in, snapshot.fill) == (None, 0.0)


@virtual
async def test_a_link_that_is_down_says_why_when_it_is_tried_again_and_what_waits() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        await nodes.kill("b")
        await nodes.until(lambda: proxy(nodes["a"]).failures >= 3 and proxy(nodes["a"]).state == "backoff")
        await nodes["a"].tell(nodes.to("b"), Item(1), expiry=60)
        await trio.sleep(0.01)  # the outbox takes it
        link, snapshot = close_look(nodes["a"], "b"), proxy(nodes["a"])
        assert link.path[-1].state == "backoff"
        assert "memory://b" in snapshot.why
        assert snapshot.retry_in is not None
        assert 0 < snapshot.retry_in < 31
        assert snapshot.fill > 0
        assert link.outbox_bytes > 0
        assert link.expires_in is not None
        assert 55 < link.expires_in <= 61
        (address,) = link.addresses
        assert address.failures >= 2
        assert address.error
        assert len(link.path) <= 16


@virtual
async def test_dead_letters_are_kept_with_their_reason() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        await nodes["a"].tell(EngineID(ID["b"], "nobody"), Item(7))
        await nodes.until(lambda: bool(nodes["a"].dead_letters()))
        (letter,) = nodes["a"].dead_letters()
        assert letter.to.endswith("/nobody")
        assert letter.outcome.startswith("refused (no_engine)")
        assert letter.tag
        assert letter.head
        assert nodes["a"].link(ID["c"]) is None
