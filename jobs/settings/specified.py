"""What Oplead's specification says of writing and webhooks, beside what the settings say and what is only assumed."""

from collections.abc import Iterator, Mapping
from typing import Any

from connectors.language import _
from connectors.survey import Survey
from jobs.settings.document import Tree, Written
from jobs.settings.meanings import meaning_of_setting
from jobs.settings.oplead_schema import SubscriptionSettings, WebhookFields, WriteSettings
from jobs.settings.types import Strict

_WRITE, _SUBSCRIPTIONS, _FIELDS = "oplead.write", "webhooks.subscriptions", "webhooks.fields"
_SECTIONS: Mapping[str, type[Strict]] = {
    _WRITE: WriteSettings,
    _SUBSCRIPTIONS: SubscriptionSettings,
    _FIELDS: WebhookFields,
}
_WHOLLY_ASSUMED = frozenset({_FIELDS})
"""The sections all of whose defaults are assumed."""


def assumed_settings(survey: Survey, write: Tree, webhooks: Tree) -> tuple[str, ...]:
    """Return the settings that nothing settles: marked as assumed, not specified, and not in the file."""
    known = {
        _WRITE: {*survey.write, *_keys(write)},
        _SUBSCRIPTIONS: {*survey.subscriptions, *_keys(_within(webhooks, "subscriptions"))},
        _FIELDS: _keys(_within(webhooks, "fields")),
    }
    return tuple(
        f"{section}.{name}"
        for section, model in _SECTIONS.items()
        for name in model.model_fields
        if name not in known[section]
        if section in _WHOLLY_ASSUMED or (meaning_of_setting(model, name) or "").rstrip().endswith("assumed.")
    )


def new_write_settings(survey: Survey, written: Tree) -> dict[str, Written]:
    """Return what is specified of `oplead.write`, or as leads show it, where neither file nor default says the same."""
    return _settings_not_yet_written({**survey.shown_at, **survey.write}, WriteSettings, written)


def new_subscription_settings(survey: Survey, written: Tree) -> dict[str, Written]:
    """Return what is specified of `webhooks.subscriptions`, likewise."""
    return _settings_not_yet_written(survey.subscriptions, SubscriptionSettings, _within(written, "subscriptions"))


def differences(survey: Survey, write: Tree, webhooks: Tree) -> Iterator[str]:
    """Yield a sentence for each setting of the file that the specification contradicts."""
    sections = (
        (_WRITE, survey.write, write),
        (_SUBSCRIPTIONS, survey.subscriptions, _within(webhooks, "subscriptions")),
    )
    for section, said, tree in sections:
        for name, value in said.items():
            written, as_written = _at(tree, name), value if isinstance(value, str) else f"{value}".lower()
            if isinstance(written, str) and written != as_written:
                yield _(
                    "{section}.{name}: your settings say {written}, the specification says {value}",
                    section=section,
                    name=name,
                    written=written,
                    value=as_written,
                )


def _settings_not_yet_written(said: Mapping[str, str | bool], model: type[Strict], written: Tree) -> dict[str, Written]:
    found: dict[str, Any] = {}
    for name, value in said.items():
        if _at(written, name) is not None or value == _default(model, name):
            continue
        section, *rest = name.split(".")
        if rest:
            found.setdefault(section, {})[rest[0]] = value
        else:
            found[section] = value
    return found


def _default(model: type[Strict], name: str) -> object:
    default: object = model
    for part in name.split("."):
        fields = type(default).model_fields if isinstance(default, Strict) else model.model_fields
        default = fields[part].default if part in fields else None
    return default


def _at(tree: Tree, name: str) -> Tree:
    for part in name.split("."):
        tree = _within(tree, part)
    return tree


def _within(tree: Tree, name: str) -> Tree:
    return tree.get(name) if isinstance(tree, dict) else None


def _keys(tree: Tree) -> set[str]:
    return {name for name, value in tree.items() if value is not None} if isinstance(tree, dict) else set()
