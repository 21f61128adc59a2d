"""Find the OpenAPI specification that Oplead's documentation page loads: few requests, one host, bounded everything.

What is read here comes from outside: nothing in it is followed to another host, and no key goes along unasked.
"""

import html
import re
from contextlib import closing
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from urllib.parse import SplitResult, urljoin, urlsplit

from connectors.errors import Misconfigured, Transient, WrongFile
from connectors.language import _, _n
from connectors.oplead.answers import RawOpleadResponse, TooLarge
from connectors.oplead.client import OpleadClient
from connectors.oplead.options import ApiAuthScheme
from connectors.oplead.probe.specification.loading import LARGEST, NotASpecificationError, Specified, specification_in

PAGE = "/documentation/index.html"
"""Where Oplead's guide says the documentation is."""
MOST_REQUESTS = 3
_ACCEPT = {"Accept": "text/html, application/json, application/yaml, */*;q=0.5"}
_REDIRECTS = range(300, 400)
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class SpecificationSearchResult:
    """What came of looking for a specification."""

    specification: Specified | None = field(repr=False)
    sentence: str
    """Where it was found, or why there is none."""
    requests: int = 0


# ── looking for it ───────────────────────────────────────────────────────────────────────────────


def find_specification(client: OpleadClient) -> SpecificationSearchResult:
    """Return the specification that the platform's documentation page loads, with at most three requests.

    The key is sent only after the page was refused without it (401), and only to the host of `base_url`.
    """
    anonymous = replace(client.options, auth=ApiAuthScheme(style="none"), extra_headers=_ACCEPT, extra_query={})
    with_key = replace(client.options, extra_headers={**client.options.extra_headers, **_ACCEPT})
    with (
        closing(replace(client, options=anonymous)) as without,
        closing(replace(client, options=with_key)) as within,
    ):
        search = _Search(without, within)
        try:
            specification, place = search.find()
        except NotASpecificationError as reason:
            return SpecificationSearchResult(
                None, _("Specification: none is used, for {reason}.", reason=reason), search.requests
            )
        except TooLarge:
            most = LARGEST // 1024 // 1024
            return SpecificationSearchResult(
                None, _("Specification: none is used, for it has more than {most} MB.", most=most), search.requests
            )
        except (Misconfigured, Transient) as error:
            return SpecificationSearchResult(
                None, _("Specification: none is used ({error}).", error=error), search.requests
            )
    return SpecificationSearchResult(
        specification, _("Specification: read from {place}.", place=place), search.requests
    )


def parse_downloaded_specification(content: bytes) -> SpecificationSearchResult:
    """Return the specification in a copy that somebody downloaded.

    Raises:
        WrongFile: there is none in it, or it cannot be used.
    """
    try:
        specification = specification_in(content)
    except NotASpecificationError as reason:
        raise WrongFile(f"--spec: {reason}") from None
    if specification is None:
        raise WrongFile(
            _(
                "--spec: this file holds no OpenAPI specification: download the file that the documentation "
                "page loads, usually a .json or .yaml"
            )
        )
    return SpecificationSearchResult(specification, _("Specification: read from the file given."))


@dataclass(slots=True)
class _Search:
    """The way from the page to the specification."""

    without: OpleadClient
    """Sends no key."""
    within: OpleadClient
    """Sends the key, once the page wants one."""
    requests: int = 0
    _wants_key: bool = False

    def find(self) -> tuple[Specified, str]:
        """Return the specification and its path, or raise NotASpecificationError."""
        target, seen = PAGE, set[str]()
        while target not in seen:
            seen.add(target)
            document = self._get(target)
            if document.status in _REDIRECTS and document.location:
                target = self._same_host(document.location, target)
                continue
            _require_success(document, target)
            specification = specification_in(document.content)
            if specification is not None:
                return specification, target.partition("?")[0]
            link = specification_link(document.content)
            if link is None:
                raise NotASpecificationError(_no_link(document.content))
            target = self._same_host(link, target)
        raise NotASpecificationError(_("its pages lead in a circle"))

    def _get(self, target: str) -> RawOpleadResponse:
        if self._wants_key:
            return self._ask(self.within, target)
        document = self._ask(self.without, target)
        if document.status != HTTPStatus.UNAUTHORIZED:
            return document
        self._wants_key = True
        return self._ask(self.within, target)

    def _ask(self, client: OpleadClient, target: str) -> RawOpleadResponse:
        if self.requests >= MOST_REQUESTS:
            raise NotASpecificationError(
                _n(
                    "{count} request did not find it: see --spec",
                    "{count} requests did not find it: see --spec",
                    MOST_REQUESTS,
                )
            )
        self.requests += 1
        return client.get_raw_response(target, LARGEST)

    def _same_host(self, link: str, page: str) -> str:
        """Return a link's path and query; raise NotASpecificationError if it leads to another host."""
        try:
            here, there = urlsplit(self.without.origin), urlsplit(urljoin(self.without.origin + page, link))
            is_same = _host(here) == _host(there)
        except ValueError:
            raise NotASpecificationError(_("the address of the specification is invalid")) from None
        if not is_same:
            raise NotASpecificationError(_("what the page loads is on another host, which is not asked: see --spec"))
        return "/" + there.path.lstrip("/") + (f"?{there.query}" if there.query else "")


def _host(address: SplitResult) -> tuple[str, str | None, int | None]:
    return address.scheme, address.hostname, address.port or _PORTS.get(address.scheme)


def _require_success(document: RawOpleadResponse, target: str) -> None:
    place = target.partition("?")[0]
    match document.status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            raise NotASpecificationError(_("{place} needs a login ({status})", place=place, status=document.status))
        case HTTPStatus.NOT_FOUND | HTTPStatus.GONE:
            raise NotASpecificationError(_("there is nothing at {place}", place=place))
        case status if status != HTTPStatus.OK:
            raise NotASpecificationError(_("the status of {place} is {status}", place=place, status=status))


# ── what a page names ────────────────────────────────────────────────────────────────────────────

# Every pattern is linear in what it searches: pages come from outside.
_SEARCHED = 256 * 1024
"""How many bytes of a page are searched for links."""
_LINKS = (
    re.compile(r"""\bspec-url\s*=\s*["']([^"'\s]+)["']"""),
    re.compile(r"""\b(?:url|specUrl)\\?["']?\s*:\s*\\?["']([^"'\\\s]+(?:\\/[^"'\\\s]+)*)\\?["']"""),
    re.compile(r"""\bconfigUrl\\?["']?\s*[:=]\s*\\?["']([^"'\s]+)["']"""),
)
"""What leads to a specification, the most direct first."""
_SCRIPT = re.compile(r"<script\b([^<>]{1,2000})", re.IGNORECASE)
_SOURCE = re.compile(r"""\bsrc\s{0,9}=\s{0,9}["']([^"'\s]{1,1000})["']""", re.IGNORECASE)
_AFTER_INIT = re.compile(r"[a-z-]*")
_PASSWORD = re.compile(r"""type\s*=\s*["']?password""", re.IGNORECASE)


def specification_link(content: bytes) -> str | None:
    """Return the address that a page, script or configuration loads its specification from, if it names one."""
    text = _without_comments(content[:_SEARCHED].decode("utf-8", "replace"))
    links = (match[1] for pattern in _LINKS if (match := pattern.search(text)))
    found = next(links, None) or _viewer_script_address(text)
    return html.unescape(found).replace("\\/", "/") if found else None


def _without_comments(text: str) -> str:
    first, *rest = text.split("<!--")
    kept, is_open = [first], False
    for part in rest:
        _, end, after = part.partition("-->")
        is_open = not end
        kept += [after] if end else []
    return "".join([*kept, rest[-1]] if is_open else kept)


def _viewer_script_address(text: str) -> str | None:
    """Return the address of the script that starts the page's viewer, by its usual names."""
    for script in _SCRIPT.finditer(text):
        source = _SOURCE.search(script[1])
        name = source[1].partition("?")[0].casefold() if source else ""
        stem = name.removesuffix(".js")
        _, is_init, rest = stem.rpartition("init")
        if source and stem != name and (stem.endswith("index") or (is_init and _AFTER_INIT.fullmatch(rest))):
            return source[1]
    return None


def _no_link(content: bytes) -> str:
    if _PASSWORD.search(content[:_SEARCHED].decode("utf-8", "replace")):
        return _("{page} needs a login (it shows a login page)", page=PAGE)
    return _("no specification is named at {page}", page=PAGE)
