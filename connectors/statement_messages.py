"""What is stated where a platform has nothing to show: messages for the catalogues, translated where they are shown."""

from connectors.language import N_

NO_ANSWER = N_("no answer in time")
UNREADABLE = N_("the answer cannot be read")
NOT_STATED = N_("the platform does not tell")
QUOTA_FULL = N_("the shared quota of requests had no room left")
REFUSED = N_("the access key is refused")
NOTHING_YET = N_("nothing yet")
