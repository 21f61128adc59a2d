"""The French names of what an API names in English: the one table that every reader of names uses. Pure."""

from collections.abc import Mapping

_FRENCH: Mapping[str, tuple[str, ...]] = {
    "label": ("libelle", "intitule"),
    "name": ("nom",),
    "value": ("valeur",),
    "key": ("cle",),
    "title": ("titre",),
    "number": ("numero",),
    "phone": ("telephone",),
    "address": ("adresse",),
    "status": ("statut",),
    "newStatus": ("nouveauStatut",),
    "oldStatus": ("ancienStatut",),
    "status.new": ("statut.nouveau",),
    "statusLabel": ("libelleStatut", "statutLibelle"),
    "state": ("etat",),
    "stage": ("etape",),
    "new": ("nouveau",),
    "old": ("ancien",),
    "at": ("le",),
    "since": ("depuis",),
    "changedAt": ("modifieLe", "dateChangement"),
    "createdAt": ("creeLe", "dateCreation"),
    "offset": ("decalage",),
    "start": ("debut",),
    "count": ("nombre",),
    "error": ("erreur",),
    "errors": ("erreurs",),
    "reason": ("motif",),
    "event": ("evenement",),
    "events": ("evenements",),
    "data": ("donnees",),
    "data.lead": ("donnees.lead",),
}


def with_french(*names: str) -> tuple[str, ...]:
    """Return names with their French counterparts, each behind its own.

    Never used for a lead's id: an account that has run keeps the one it was known by.
    """
    return tuple(dict.fromkeys(one for name in names for one in (name, *_FRENCH.get(name, ()))))
