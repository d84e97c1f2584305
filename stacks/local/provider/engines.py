"""The engines that are connected: what each gave the provider resources that it deploys with."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from stacks.local.provider.backend import Properties

REMEMBERED_ENGINES = 256


@dataclass(frozen=True, kw_only=True)
class Configured:
    """The settings that one engine gave one provider resource."""

    stack: str
    settings: Properties
    hidden: frozenset[str]
    """Settings that are secret as a whole."""


class Engines:
    """Settings by connection: every provider resource of every engine has a connection."""

    def __init__(self) -> None:
        self._by_peer: OrderedDict[str, Configured] = OrderedDict()

    def configured(self, peer: str, urn: str, settings: Properties, hidden: frozenset[str]) -> None:
        """Remember what came over this connection."""
        self._by_peer[peer] = Configured(stack=_stack(urn), settings=settings, hidden=hidden)
        self._by_peer.move_to_end(peer)
        while len(self._by_peer) > REMEMBERED_ENGINES:
            self._by_peer.popitem(last=False)

    def settings(self, peer: str, urn: str) -> Properties:
        """The connection's settings; after a reconnection, the newest of the same stack."""
        return self._of(peer, urn).settings

    def hidden(self, peer: str, urn: str) -> frozenset[str]:
        """Which of them are secret."""
        return self._of(peer, urn).hidden

    def _of(self, peer: str, urn: str) -> Configured:
        if peer in self._by_peer:
            return self._by_peer[peer]
        of_stack = [c for c in list(self._by_peer.values()) if c.stack == _stack(urn)]
        return of_stack[-1] if of_stack else Configured(stack="", settings={}, hidden=frozenset())


def _stack(urn: str) -> str:
    return "::".join(urn.split("::")[:2])
