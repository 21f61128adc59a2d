"""A careful French marketer at a terminal: she reads the question and the list above it, and knows her Oplead."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

from tests.e2e.strangers.people import STAGES

COMMAND = Path(sys.executable).with_name("oplead-sync")
PATIENCE = 120  # seconds for a question, and for the end
MOST_QUESTIONS = 60
_ROW = re.compile(r"^ +([a-z]{1,2}|-)  (.+)$", re.MULTILINE)
_PROMPT = re.compile(r"([^\n]+?) ?: \Z")
_COUNT = re.compile(r"  \(.*\)$")


class NoWayOn(AssertionError):
    """A question that she cannot answer from what is on the screen."""


class Marketer:
    """One person, in front of one Oplead's `init`.

    Attributes:
        typed: every path that no list and no proposal had, so that she wrote it by hand.
        remarks: what she stumbled over, in her words.
    """

    def __init__(self, oplead, *, google, meta, actions):
        """Know one's Oplead, one's accounts and actions by stage."""
        self._oplead, self._google, self._meta, self._actions = oplead, google, meta, actions
        self.typed, self.remarks, self.screen, self._asked = [], [], "", []

    def sit_down(self, *arguments, environ):
        """Play `init` to its end and return its exit code."""
        leader, follower = pty.openpty()
        told = {
            "TERM": "xterm",
            "COLUMNS": "200",
            "LANG": "fr_FR.UTF-8",
            "HOME": os.environ["HOME"],
            "PATH": os.environ["PATH"],
        }
        process = subprocess.Popen(
            [COMMAND, *arguments],
            env=told | environ,
            stdin=follower,
            stdout=follower,
            stderr=follower,
            start_new_session=True,
        )
        os.close(follower)
        try:
            self._talk(leader)
            return process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait(PATIENCE)
            os.close(leader)

    def _talk(self, leader):
        start, until = 0, time.monotonic() + PATIENCE
        waiting = select.poll()  # `select.select` refuses high file numbers
        waiting.register(leader, select.POLLIN)
        while waiting.poll(max(0, until - time.monotonic()) * 1000):
            try:
                part = os.read(leader, 1 << 16)
            except OSError:  # how Linux says that the other end is closed
                return
            text = part.decode(errors="replace").replace("\r\n", "\n").replace("\u202f", " ").replace("\xa0", " ")
            self.screen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
            asked = _PROMPT.search(self.screen[start:])
            if asked:
                answer = self.answer(asked[1], self.screen[start:])
                self._asked.append(asked[1])
                if len(self._asked) > MOST_QUESTIONS or self._asked[-4:] == [asked[1]] * 4:
                    raise NoWayOn(f"{asked[1]}: asked again and again")
                os.write(leader, f"{answer}\n".encode())
                start, until = len(self.screen), time.monotonic() + PATIENCE
        raise NoWayOn(f"nothing more came: {self.screen[-400:]}")

    # ── what she says ───────────────────────────────────────────────────────────────────────────

    def answer(self, question, above):
        """Return what she types; an empty line takes what stands in brackets."""
        said = question.casefold()
        offered = re.search(r"\[([^\]]*)\]$", question)
        offered = offered[1] if offered else ""
        rows = {letter: _COUNT.sub("", text) for letter, text in _ROW.findall(above)}
        oplead = self._oplead
        rules = (
            ("nom court", lambda: "maison-test"),
            ("lettres ou", lambda: self._statuses(said, offered)),
            ("est-ce exact", lambda: "oui"),
            ("écrire les réglages", lambda: "oui"),
            ("par un autre moyen", lambda: "20/08/2026"),
            ("garder quand même", lambda: "oui"),
            ("personnalis", lambda: "-"),
            ("champ .*publicit", lambda: self._path(oplead.CONSENT, rows, offered)),
            ("valent accord", lambda: self._word(oplead.YES, rows, offered)),
            ("valent refus", lambda: self._word(oplead.NO, rows, offered)),
            ("champ .*montant", lambda: self._path(oplead.AMOUNT, rows, offered)),
            ("ttc", lambda: "oui"),
            ("900", lambda: "900"),
            ("action de conversion", lambda: self._action(said)),
            ("compte administrateur", lambda: "111-222-3333"),
            ("google ads", lambda: self._google or "-"),
            ("meta", lambda: self._meta or "-"),
            ("hachées", lambda: "non"),
        )
        for pattern, answer in rules:
            if re.search(pattern, said):
                return answer()
        raise NoWayOn(f"a question that nobody foresaw: {question}")

    def _statuses(self, said, offered):
        stage = next(
            stage
            for words, stage in (
                ("rendez-vous", "appointment"),
                ("devis", "quote_sent"),
                ("sign", "won"),
                ("perdu", "lost"),
            )
            if words in said
        )
        # The list of statuses is shown once, above the first of its questions.
        rows = {letter: _COUNT.sub("", text) for letter, text in _ROW.findall(self.screen[self.screen.find(_FIRST) :])}
        wanted = [self._oplead.LABELS[state] for state, of in STAGES.items() if of == stage]
        found = [
            letter
            for letter, text in rows.items()
            if any(re.search(rf"(^|\W){re.escape(w)}($|\W)", text) for w in wanted)
        ]
        if not found and rows.keys() > {"-"}:
            raise NoWayOn(f"no status on the list reads as “{wanted[0]}”: {', '.join(rows.values())}")
        if not found:
            self.remarks.append(f"{stage}: no list of statuses, so “{', '.join(wanted)}” was typed")
            return ", ".join(wanted)
        if offered != ", ".join(found):
            self.remarks.append(f"{stage}: proposed “{offered}”, chosen “{', '.join(found)}” by hand")
        return ", ".join(found)

    def _path(self, wanted, rows, offered):
        if offered == wanted:
            return ""
        letter = next((letter for letter, text in rows.items() if re.match(rf"{re.escape(wanted)}($|\W)", text)), None)
        if letter:
            self.remarks.append(f"{wanted}: chosen from the list, where “{offered or 'nothing'}” was proposed")
            return letter
        self.typed.append(wanted)
        return f'"{wanted}"' if " " in wanted else wanted

    def _word(self, wanted, rows, offered):
        if offered.casefold() == wanted.casefold():
            return ""
        letter = next(
            (letter for letter, text in rows.items() if text.strip("\"' ").casefold() == wanted.casefold()), None
        )
        self.remarks.append(f"the answer “{wanted}” was not proposed (“{offered or 'nothing'}” was)")
        return letter or wanted

    def _action(self, said):
        words = (("rendez-vous", "appointment"), ("devis", "quote_sent"), ("", "won"))
        return next(self._actions[stage] for word, stage in words if word in said)


_FIRST = "Voici les statuts"
