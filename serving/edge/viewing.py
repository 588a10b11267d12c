"""Which conditions of an entitlement does a request meet by the way that it came?"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.requests import Request

from masking.entitlements import Condition

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class ViewingRules:
    """Hold what this installation asks for. No networks, no header: every way that leads here meets the condition.

    `device_header` is a header that the proxy in front sets for a device that it knows, and takes off all others.
    """

    office_networks: tuple[Network, ...] = ()
    device_header: str | None = None
    sensitive_segments: frozenset[str] = frozenset()


def conditions_of(request: Request, rules: ViewingRules) -> frozenset[Condition]:
    """Return the conditions that the way of a request meets. Only the address that speaks to us counts, no header about it."""
    met: set[Condition] = set()
    address = _address(request)
    if not rules.office_networks or any(address in network for network in rules.office_networks if address is not None):
        met.add(Condition.OFFICE_NETWORK)
    if rules.device_header is None or request.headers.get(rules.device_header, "").strip():
        met.add(Condition.TRUSTED_DEVICE)
    return frozenset(met)


def _address(request: Request) -> IPv4Address | IPv6Address | None:
    if request.client is None:
        return None
    try:
        address = ip_address(request.client.host)
    except ValueError:
        # A socket of this machine has no address.
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
