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
                        Alpha  Bravo  Charlie  Delta  Echo  Foxtrot  Nova
oplead.key_header       R      u      R        R      u     R        R
oplead.list_shape       cu     cu     u        cu     u     u        u
oplead.field_names      u      u      u        u      u     u        u
oplead.documentation    C      C      R        C      R     R        R
oplead.lead_data        C      C      C        C      C     C        C
oplead.status_dates     cu     R      u        R      R     R        cu
oplead.lists            u      u      u        u      u     u        u
"""
"""What is right if nothing may be written; every claim that is not here must be unclear.

- key_header: Bravo and Echo take `Authorization: Bearer` under `/v1`, but that this is so *at api.oplead.com* nobody
  sees on another host. The other five answer 401 to it, with a key that they take otherwise.
- list_shape: `init` reads all seven, so that none breaks it. None has a filter: where a specification lists the list's
  parameters (Alpha, Bravo, Delta) that may be believed; elsewhere it may have one by a name that nobody tried.
- field_names: a field that no lead has filled yet is not seen, so that it is never proved; none of the seven breaks it.
- documentation: Alpha's, Bravo's (3.1) and Delta's (2.0) are open. The other four have no such page: 401 without a
  key, and 404 with it, in their own way of presenting it.
- lead_data: exactly so named in all seven; Bravo's on the lead's own page alone.
- status_dates: Alpha's and Nova's `statusHistory` tells every zone. Charlie's has none, and no answer says which it is.
  Bravo's `history`, Delta's `statuses`, Echo's `statut.depuis` and `historique`, and Foxtrot's `suivi` are other names.
- lists: `/subscriptions` and the two settings are answered 404, which says nothing of how a list there is would be
  paged.
- last_page: none ends on a page that is not a round one, without a word of the next, and has more.
- the others take a write, time, a file, a web site, or Oplead's word.
"""
_REFUSING = """
                          any
oplead.create_and_change  R
oplead.subscriptions      ru
oplead.refusals           ru
"""
"""What changes if everything may be written: all seven answer 404 to whatever is not GET.

So a lead is not created with `POST /leads`, nor a subscription made with `POST /subscriptions`; but whoever finds no
list of subscriptions may leave them alone, as one that is not listed cannot be ended again. Nothing is learnt of what
would have happened to that lead (click ids, status, document, deletion). A sandbox answers 405 where a page exists
and lacks a method, which may be held against them.
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

_SANDBOX = """
                          any
oplead.documentation      R
oplead.lead_data          C
oplead.lists              cu
oplead.create_and_change  C
oplead.click_ids_return   C
oplead.status             C
oplead.subscriptions      C
oplead.deleted            C
"""
"""What is right at the sandbox after a yes to everything, its list having three pages; all else must be unclear.

- key_header, list_shape and status_dates: as at Bravo, Charlie and Charlie.
- deleted: a sandbox deletes nothing itself; whoever is asked to does, and its page is answered 410.
- document: one of 20 MB is what proves "at most 20 MB"; whoever sends a small one sees that `POST` and `file` are
  right, and no more: with `document_mb=1` the same is seen. See `MEGABYTES`.
- refusals: without a supplier's key nobody sees whether it reads leads, as with `supplier_reads=own`, which breaks the
  claim.
- status: two of the statuses are those that the guide names; to them it is set wherever one can be set at all.
"""
_SWITCHED = """
                              claim                     right
filters=True                  oplead.list_shape         C
update_verb=PATCH             oplead.create_and_change  R
status_verb=POST              oplead.status             R
status_verb=PATCH             oplead.status             R
document_path=attachments     oplead.document           u
document_mb=1                 oplead.document           ru
errors_quote=True             oplead.refusals           u
unknown_fields=ignored        oplead.refusals           R
settable_statuses=documented  oplead.status             C
form_external_id=external_id  oplead.form               u
supplier_reads=own            oplead.refusals           u
documentation=openapi3_json   oplead.documentation      C
documentation=openapi3_json   oplead.specification      cu
documentation=openapi3_json   oplead.list_shape         cu
"""
"""What one switch changes of that: a wrong field taken in silence refutes the codes of refusals; another path of
documents is not against the claim, which names none; only a specification can be found to be true."""
_READ = """
                              claim                 right
documentation=openapi3_json   oplead.documentation  C
documentation=openapi3_yaml   oplead.documentation  C
documentation=swagger2_json   oplead.documentation  C
documentation=swagger2_yaml   oplead.documentation  C
documentation=with_key        oplead.documentation  C
documentation=login           oplead.documentation  u
documentation=external_ref    oplead.documentation  cu
documentation=bare_page       oplead.documentation  ru
documentation=elsewhere       oplead.documentation  ru
status_dates=none             oplead.status_dates   R
status_dates=status_date      oplead.status_dates   u
names=snake                   oplead.status_dates   R
names=snake                   oplead.lead_data      R
names=french                  oplead.status_dates   R
names=french                  oplead.lead_data      C
dates=iso                     oplead.status_dates   cu
dates=epoch_ms                oplead.status_dates   cu
list_has_details=False        oplead.lead_data      C
list_has_details=ids          oplead.lead_data      C
lead_data=name_value          oplead.lead_data      C
auth=x_api_key                oplead.key_header     R
path_prefix=                  oplead.key_header     R
"""
"""What is right from reading alone: exact names; a zone told or not; a page behind a login may be anything, one that
names no specification may load it in a way that nobody saw, and what one loads from another host is not asked for."""
MEGABYTES = 20_000_000
"""As large must a body be that proves what the document's claim says of sizes."""


def _switched(text):
    """Return a table's rows as (switch, position, claim, right)."""
    rows = [line.split() for line in text.strip().splitlines()[1:]]
    return [(*switch.split("="), claim, frozenset(_SETS[right].split())) for switch, claim, right in rows]


BY_SWITCH, READ_BY_SWITCH = _switched(_SWITCHED), _switched(_READ)
_AT_SANDBOX = _table(_SANDBOX)


def right_at_sandbox(claim, switched=()):
    """Return the verdicts that are right of a claim at the sandbox with one switch (name, position) turned."""
    of_switch = [right for name, position, of, right in BY_SWITCH if (name, position) == switched and of == claim]
    return of_switch[0] if of_switch else _AT_SANDBOX.get(claim, {}).get("any", UNCLEAR)
