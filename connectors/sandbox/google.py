"""What Google knows whichever of its APIs is asked: accounts, clicks, and one book of conversions."""

from collections.abc import Callable, Mapping
from datetime import datetime
from threading import RLock

from connectors.sandbox.book import Book
from connectors.sandbox.google_accounts import DEFAULT_ACCOUNTS, Account
from connectors.sandbox.google_clicks import Click, read_click


class Google:
    """The memory that the Data Manager and the Google Ads API share. Whoever touches it holds `lock`.

    Attributes:
        accounts: the customers, by id.
        clicks: by click id, and by the hash of contact data.
        book: every conversion that either API counted.
        across_apis: whether each API takes a key that the other one counted for known; not documented.
        zero_is_final: whether a conversion that was restated to 0 can be corrected no more.
        settlers: what must judge its waiting rows before anything else changes.
    """

    def __init__(self, accounts: Mapping[str, Account] = DEFAULT_ACCOUNTS) -> None:
        self.lock = RLock()
        self.accounts = accounts
        self.clicks: dict[str, Click] = {}
        self.book = Book()
        self.across_apis = False
        self.zero_is_final = True
        self.settlers: list[Callable[[datetime], None]] = []

    def settle(self, now: datetime) -> None:
        """Judge whatever fell due by now, by what was known when it did."""
        for judge in self.settlers:
            judge(now)

    def register_clicks(self, clicks: Mapping[str, object], now: datetime) -> None:
        """Make clicks known, by click id or by hash of contact data: `{"clicked_at": ISO 8601, "customer"}`.

        ValueError where one has another shape; none is registered then.
        """
        known = {key: read_click(each) for key, each in clicks.items()}
        with self.lock:
            self.settle(now)
            self.clicks.update(known)
