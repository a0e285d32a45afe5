"""What every request has to satisfy, before anything is done for it.

Against DNS rebinding (a site's name that suddenly leads here), the Host has to be a name or an address of this page.
Against other sites in the same browser, the Origin has to be that host, and a change needs a header that only the page
itself can know. A session is asked for after that, and limits come last.
"""

from __future__ import annotations

import hmac
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from motionsig.page.certificates import own_names
from motionsig.page.exchange import Refused, Request
from motionsig.page.people import csrf_of

Address = IPv4Address | IPv6Address

CSRF = "x-motionsig-csrf"

_HOST = re.compile(r"(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9][a-z0-9.-]{0,252}))(?::[0-9]{1,5})?")


def check_origin(request: Request, *, whole_page: bool) -> None:
    """Raise Refused for a request that another site had a hand in. whole_page: a link may lead here from anywhere."""
    host = (request.header("host") or "").lower()
    if not _is_own(host, request):
        raise Refused(421, "expected a name or an address of this device")
    origin = request.header("origin")
    if origin is not None and origin != f"{'https' if request.tls else 'http'}://{host}":
        raise Refused(403, "expected a request of this page, got one of another site")
    if whole_page and request.header("sec-fetch-mode") == "navigate":
        return
    if request.header("sec-fetch-site") not in (None, "same-origin", "none"):
        raise Refused(403, "expected a request of this page, got one of another site")


def check_csrf(request: Request, token: str) -> None:
    """Raise Refused for a change that the page itself did not ask for."""
    if not hmac.compare_digest((request.header(CSRF) or "").encode(), csrf_of(token).encode()):
        raise Refused(403, "expected the session's X-Motionsig-CSRF")


def check_json(request: Request) -> None:
    """Raise Refused for a body that a form of another site could send."""
    if (request.header("content-type") or "").lower().replace(" ", "") not in _JSON:
        raise Refused(415, "expected Content-Type: application/json")


_JSON = ("application/json", "application/json;charset=utf-8")


def _is_own(host: str, request: Request) -> bool:
    """Tell whether a Host is this page's: on the plain socket a loopback name, with TLS this machine's others, too."""
    match = _HOST.fullmatch(host)
    if not match:
        return False
    literal, name = match.groups()
    own = _address(request.server)
    address = _address(literal or name)
    if address is not None:
        return address.is_loopback if not request.tls else address == own
    at_home = name == "localhost" and own is not None and own.is_loopback
    return at_home or (request.tls and name != "localhost" and name in own_names())


def is_near(host: str) -> bool:
    """Tell whether the address at a connection's other end is of this machine or of a network without the internet."""
    address = _address(host)
    return address is not None and (address.is_private or address.is_link_local)


def _address(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # One socket for both kinds shows IPv4 like this.
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


@dataclass(frozen=True)
class Limits:
    """How often, how many and how long; each rate is (a second, at once)."""

    pairing: tuple[float, int] = (1.0, 60)
    """Attempts with a code, by all together."""
    pairing_each: tuple[float, int] = (1 / 6, 10)
    """Attempts with a code, of one address."""
    requests: tuple[float, int] = (20.0, 80)
    """Requests of one session."""
    asks: int = 8
    """Asks under way."""
    viewers: int = 16
    """With the asks fewer than the control socket's connections."""
    connections: int = 96
    connections_each: int = 32
    """Connections of one address; a browser opens six."""
    request_s: float = 20.0
    """How long a request may take to come in: 4 MiB at 200 kB/s."""
    reads_s: float = 20.0
    """How long a browser may read nothing of what waits for it."""


class Rate:
    """Lets so many pass a second, and so many at once, of each key."""

    _MOST_KEYS = 256

    def __init__(self, rate: tuple[float, int], clock: Callable[[], float] = time.monotonic) -> None:
        self._a_second, self._at_once = rate
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def passes(self, key: str = "") -> bool:
        """Tell whether one more may pass now."""
        now = self._clock()
        left, at = self._left.pop(key, (float(self._at_once), now))
        left = min(float(self._at_once), left + (now - at) * self._a_second)
        passes = left >= 1
        self._left[key] = (left - passes, now)
        if len(self._left) > self._MOST_KEYS:
            self._left.popitem(last=False)
        return passes
