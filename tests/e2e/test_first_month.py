"""A first month without incident: the baseline for the tests of each incident."""

import pytest

from tests.e2e.support.company import START
from tests.e2e.support.month import DAY, PRICE, QUIET, Month, expected, gclid

NIGHTS = 25
A_DAY = 6
"""Leads created on a working day."""


def consent_of(number):
    """One in nine does not answer, one in eleven says no, one in fifty something else."""
    if number % 9 == 4:
        return None
    if number % 50 == 22:
        return "peut-être"
    return "non" if number % 11 == 6 else "oui"


def left_by_the_form(number):
    """One in eight has no click id; of the others some are labelled and some bare."""
    if number % 8 == 3:
        return ""
    return gclid(number) if number % 8 == 5 else f"gclid={gclid(number)}"


def a_working_day(month, day):
    """Create leads, and move earlier ones on: booked, sold, lost, or given their amount; return what happened when."""
    first = 1 + day * A_DAY
    booked, sold = {}, {}
    for number in range(first, first + A_DAY):
        month.create(number, consent=consent_of(number), clicks=left_by_the_form)
    for number in range(max(1, first - 2 * A_DAY), max(1, first - A_DAY)):
        if number in month.leads and number % 3:
            booked |= month.enter("RDV pris" if number % 5 == 0 else "Rendez-vous", number)
    for number in range(max(1, first - 5 * A_DAY), max(1, first - 4 * A_DAY)):
        if number in month.leads and number % 3:
            if number % 4 == 0:
                month.enter("Perdu", number)
            else:
                sold |= month.enter("Gagné", number, amount=None if number % 7 == 0 else PRICE)
    for number in range(max(1, first - 6 * A_DAY), max(1, first - 5 * A_DAY)):
        if number in month.leads and month.leads[number].steps[-1][0] == "Gagné":
            month.edit(number, amount=PRICE)
    return booked, sold


@pytest.mark.parametrize("dates", ["history", "none"])
def test_month_without_incidents_raises_no_notice(company, dates):
    """Working days and weekends: no run asks for a human, and what counts arrives once, with its exact time.

    Throughout, some leads refuse consent, have no click id, or wait for their amount over a weekend.
    """
    month = Month(company, dates)
    month.history(40)
    said = [month.night().said]
    booked, sold = {}, {}
    for day in range(NIGHTS - 5):
        if (START + day * DAY).weekday() < 5:
            more_booked, more_sold = a_working_day(month, day)
            booked, sold = booked | more_booked, sold | more_sold
        said.append(month.night().said)
    said += [night.said for night in month.nights(4)]

    assert [QUIET] * NIGHTS == said
    tellable = [number for number in month.leads if consent_of(number) == "oui" and number % 8 != 3]
    true_appointments = {number: at for number, at in booked.items() if number in tellable}
    true_sales = {number: at for number, at in sold.items() if number in tellable}
    arrived = sorted(expected("appointment", true_appointments) + expected("sale", true_sales))
    assert arrived == month.arrivals()
    month.true_books()
