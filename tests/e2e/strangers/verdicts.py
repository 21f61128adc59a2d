"""The oracle of `evidence`: which verdicts are right of each claim on each invented Oplead.

Written from the claims and the dialects alone. Of what a walk may say, a set is right:

    R   must be refuted: the dialect breaks it, and looking shows that
    C   must be confirmed: what looking shows cannot be so otherwise
    cu  may be confirmed or not: it holds, but how much of it one walk has seen is the walk's to judge
    ru  may be refuted or not: it is broken, where one walk need not see it
    u   must be unclear: nothing that can be seen proves it, or breaks it
"""

_SETS = {"C": "confirmed", "R": "refuted", "u": "unclear", "cu": "confirmed unclear", "ru": "refuted unclear"}
_READING = """
                        Alpha  Bravo  Charlie  Delta  Echo  Foxtrot
oplead.key_header       R      u      R        R      u     R
oplead.list_shape       cu     cu     u        cu     u     u
oplead.field_names      u      u      u        u      u     u
oplead.documentation    C      C      R        C      R     R
oplead.lead_data        C      C      C        C      C     C
oplead.status_dates     cu     R      u        R      R     R
oplead.lists            u      u      u        u      u     u
"""
"""What is right if nothing may be written; every claim that is not here must be unclear.

- key_header: Bravo and Echo take `Authorization: Bearer` under `/v1`, but that this is so *at api.oplead.com* nobody
  sees on another host. The other four answer 401 to it, with a key that they take otherwise.
- list_shape: `init` reads all six, so that none breaks it. None has a filter: where a specification lists the list's
  parameters (Alpha, Bravo, Delta) that may be believed; elsewhere it may have one by a name that nobody tried.
- field_names: a field that no lead has filled yet is not seen, so that it is never proved; none of the six breaks it.
- documentation: Alpha's, Bravo's (3.1) and Delta's (2.0) are open. The other three have no such page: 401 without a
  key, and 404 with it, in their own way of presenting it.
- lead_data: exactly so named in all six; Bravo's on the lead's own page alone.
- status_dates: Alpha's `statusHistory` tells every zone. Charlie's has none, and no answer says which it is. Bravo's
  `history`, Delta's `statuses`, Echo's `statut.depuis` and `historique`, and Foxtrot's `suivi` are other names.
- lists: `/subscriptions` and the two settings are answered 404, which says nothing of how a list there is would be
  paged.
- last_page: none ends on a page that is not a round one, without a word of the next, and has more.
- the others take a write, time, a file, a web site, or Oplead's word.
"""
_REFUSING = """
                          any
oplead.create_and_change  R
oplead.subscriptions      R
oplead.refusals           ru
"""
"""What changes if everything may be written: all six answer 404 to whatever is not GET.

So a lead is not created with `POST /leads`, nor a subscription made with `POST /subscriptions`; nothing is learnt of what
would have happened to that lead (click ids, status, document, deletion). A sandbox answers 405 where a page exists and
lacks a method, which may be held against them.
"""


def _table(text):
    """Return a table's cells as sets, by row and column."""
    head, *rows = [line.split() for line in text.strip().splitlines()]
    return {
        name: {of: frozenset(_SETS[cell].split()) for of, cell in zip(head, cells, strict=True)}
        for name, *cells in rows
    }


_BY_READING, _BY_WRITING = _table(_READING), _table(_REFUSING)
UNCLEAR = frozenset(["unclear"])


def right_of(dialect, claim, *, agreed=False):
    """Return the verdicts that are right of a claim on a dialect, if writes were agreed to or not."""
    if agreed and claim in _BY_WRITING:
        return _BY_WRITING[claim]["any"]
    return _BY_READING.get(claim, {}).get(dialect, UNCLEAR)


# ── the sandbox, whose every position is known ──────────────────────────────────────────────────────

_WRITING = """
                                  key_header list_shape documentation lead_data status_dates lists create_and_change click_ids_return status document subscriptions refusals specification
-                                 u          u          R             C         u            cu    C                 C                C      u        C             u        u
filters=true                      u          C          R             C         u            cu    C                 C                C      u        C             u        u
update_verb=PATCH                 u          u          R             C         u            cu    R                 C                C      u        C             u        u
status_verb=POST                  u          u          R             C         u            cu    C                 C                R      u        C             u        u
document_path=attachments         u          u          R             C         u            cu    C                 C                C      u        C             u        u
document_mb=1                     u          u          R             C         u            cu    C                 C                C      ru       C             u        u
errors_quote=true                 u          u          R             C         u            cu    C                 C                C      u        C             u        u
unknown_fields=ignored            u          u          R             C         u            cu    C                 C                C      u        C             R        u
settable_statuses=documented      u          u          R             C         u            cu    C                 C                C      u        C             u        u
form_external_id=external_id      u          u          R             C         u            cu    C                 C                C      u        C             u        u
supplier_reads=own                u          u          R             C         u            cu    C                 C                C      u        C             u        u
documentation=openapi3_json       u          cu         C             C         u            cu    C                 C                C      u        C             u        cu
"""
"""What is right after a yes to everything, by the switch that was turned, on a list of three pages.

- document: one of 20 MB is what proves "at most 20 MB"; whoever sends a small one sees that `POST` and `file` are right,
  and no more, as with `document_mb=1`. If one that large went out it may be confirmed, see `proves_size`. Another path is
  not against the claim, which names none.
- refusals: without a supplier's key nobody sees whether it reads leads, as with `supplier_reads=own`, which breaks the
  claim; a wrong field that is taken in silence refutes it.
- status: two of the statuses are those that the guide names; to them it can be set wherever it can be set at all.
- specification: only `documentation=…` has one, and after a yes to all it may be found true.
"""
_DOCUMENTATION = """
               documentation
none           R
openapi3_json  C
openapi3_yaml  C
swagger2_json  C
swagger2_yaml  C
with_key       C
login          u
external_ref   cu
bare_page      ru
elsewhere      R
"""
"""By the position of `documentation`: a page behind a login may be anything; a page that names no specification may load
one in a way that nobody saw; one that loads it from another host does not load it from that host."""
_DATES = """
                                status_dates  lead_data
status_dates=none               R             C
names=snake                     R             R
names=french                    R             R
dates=iso                       cu            C
dates=epoch_ms                  cu            C
status_dates=status_date        u             C
list_has_details=false          u             C
list_has_details=ids            u             C
lead_data=name_value            u             C
"""
"""By another switch, from reading: exact names, and an instant in every time or not."""

WRITING, DOCUMENTATION, DATES = (_table(each) for each in (_WRITING, _DOCUMENTATION, _DATES))
MEGABYTE = 1_000_000


def proves_size(sent):
    """Whether the bodies that were sent, by their lengths, show that a document may have 20 MB."""
    return any(length >= 20 * MEGABYTE for length in sent)
