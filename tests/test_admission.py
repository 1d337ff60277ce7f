"""Policies: a decision from who, where and when. Pure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proxies import ID

from actors.admission import (
    ADMIT,
    Admit,
    AllowList,
    Capacity,
    Deny,
    DenyList,
    Later,
    Moment,
    Verdict,
    Visit,
    all_of,
    sorted_out,
)
from actors.errors import ConfigError


def visit(
    moment: Moment = Moment.PROOF,
    node: str | None = "a",
    host: str = "192.0.2.7",
    permanent: bool = False,
    **known: int,
) -> Visit:
    return Visit(moment=moment, node=ID[node] if node else None, host=host, permanent=permanent, **known)


def test_an_empty_list_admits_everybody() -> None:
    assert AllowList()(visit()) == DenyList()(visit()) == ADMIT


def test_an_allow_list_denies_whoever_is_not_on_it_and_says_so() -> None:
    policy = AllowList(nodes=frozenset({ID["b"]}))
    assert policy(visit(node="b")) == ADMIT
    assert policy(visit(node="a")) == Deny("it is not on the allow list")


def test_nobody_is_judged_by_a_name_that_is_not_proved() -> None:
    policy = AllowList(nodes=frozenset({ID["b"]}))
    assert policy(visit(Moment.ACCEPT, node=None)) == ADMIT


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("192.0.2.7", True),
        ("192.0.3.7", False),
        ("::ffff:192.0.2.7", True),
        ("2001:db8::1", True),
        ("2001:db8::1%eth0", True),
        ("2001:db9::1", False),
        ("node.example", False),
        ("", False),
    ],
)
def test_a_network_is_one_for_the_allow_list_and_for_the_deny_list_alike(host: str, allowed: bool) -> None:
    networks = ("192.0.2.0/24", "2001:db8::/32")
    for moment, node in ((Moment.ACCEPT, None), (Moment.PROOF, "a"), (Moment.DIAL, "a")):
        asked = visit(moment, node, host)
        assert isinstance(AllowList(networks=networks)(asked), Admit) == allowed
        assert isinstance(DenyList(networks=networks)(asked), Deny) == allowed


def test_a_denied_node_is_denied_wherever_it_is() -> None:
    policy = DenyList(nodes=frozenset({ID["b"]}))
    assert policy(visit(node="b")) == Deny("it is on the deny list")
    assert policy(visit(node="a")) == ADMIT


@pytest.mark.parametrize("entry", ["", "nobody", "192.0.2.7/24", "300.0.0.0/8", str(ID["a"])[:-1]])
def test_an_entry_that_is_neither_a_node_nor_a_network_is_refused(entry: str) -> None:
    with pytest.raises(ConfigError, match="neither a NodeID nor a network"):
        sorted_out([entry])


def test_a_list_of_both_is_sorted_out() -> None:
    assert sorted_out([str(ID["a"]), "192.0.2.0/24", "::1"]) == (frozenset({ID["a"]}), ("192.0.2.0/24", "::1"))


# -- capacity ---------------------------------------------------------------------------------------------


def test_one_too_many_is_told_when_to_come_again() -> None:
    policy = Capacity(links=2, retry_after=7.0)
    assert policy(visit(links=1)) == ADMIT
    verdict = policy(visit(links=2))
    assert isinstance(verdict, Later)
    assert verdict.seconds == 7.0
    assert "all 2 places are taken" in verdict.why


def test_before_the_proof_no_place_is_given_or_refused() -> None:
    assert Capacity(links=1)(visit(Moment.ACCEPT, node=None, links=5)) == ADMIT


def test_kept_places_that_permanent_links_have_taken_are_not_kept_twice() -> None:
    policy = Capacity(links=4, kept=2)
    assert policy(visit(links=2, permanent_links=0)) != ADMIT, "two are kept for those who may still come"
    assert policy(visit(links=3, permanent_links=2)) == ADMIT


@given(st.integers(0, 6), st.integers(0, 6), st.lists(st.booleans(), max_size=30))
def test_permanent_peers_up_to_their_places_are_never_refused(links: int, kept: int, come: list[bool]) -> None:
    kept = min(kept, links)
    policy = Capacity(links=links, kept=kept)
    inside: list[bool] = []
    for permanent in come:
        verdict = policy(visit(links=len(inside), permanent_links=sum(inside), permanent=permanent))
        if permanent and sum(inside) < kept:
            assert verdict == ADMIT
        if isinstance(verdict, Admit):
            inside.append(permanent)
    assert len(inside) <= links
    assert inside.count(False) <= links - kept


@pytest.mark.parametrize(("kept", "retry_after"), [(2, 1.0), (-1, 1.0), (0, -1.0)])
def test_places_that_cannot_be_are_refused(kept: int, retry_after: float) -> None:
    with pytest.raises(ConfigError):
        Capacity(links=1, kept=kept, retry_after=retry_after)


# -- several ----------------------------------------------------------------------------------------------


def test_of_several_policies_the_first_that_does_not_admit_has_its_word() -> None:
    def later(_: Visit) -> Verdict:
        return Later(1.0, "soon")

    def deny(_: Visit) -> Verdict:
        return Deny("never")

    assert all_of()(visit()) == ADMIT
    assert all_of(AllowList(), later, deny)(visit()) == Later(1.0, "soon")
    assert all_of(all_of(AllowList()), deny, later)(visit()) == Deny("never")
