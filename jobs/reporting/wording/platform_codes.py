"""What the platforms' codes mean, and what to do; each is in the language of the moment when it is looked up."""

from collections.abc import Mapping

from connectors.language import N_
from jobs.reporting.wording.reasons import StateAndReasonTexts, TranslatedTexts

DATA_MANAGER = "PROCESSING_ERROR_REASON_"
"""Prefix of the Data Manager API's codes."""
LOCAL = "LOCAL_"
"""Prefix of the codes of our own refusals, made before anything was sent."""
STAGE_OF_FORMS = N_("{stage} (Meta's forms)")
"""A stage as it is reported for leads of Meta's own forms."""

PLATFORM_CODES: Mapping[tuple[str, ...], StateAndReasonTexts] = TranslatedTexts(
    {
        (f"{DATA_MANAGER}CLICK_NOT_FOUND", "EVENT_NOT_FOUND"): StateAndReasonTexts(
            N_("click not found"),
            N_("The platform does not know this click id."),
            N_(
                "If it happens often, the click id is cut or changed on its way into Oplead: compare one with its form."
            ),
        ),
        (
            *("INVALID_GCLID", "INVALID_GBRAID", "INVALID_WBRAID"),
            *("UNPARSEABLE_GCLID", "UNPARSEABLE_GBRAID", "UNPARSEABLE_WBRAID", "100/2804001"),
        ): StateAndReasonTexts(
            N_("click id not readable"),
            N_("The platform cannot read this click id."),
            N_("Check that the form and Oplead store the click id whole, with its capitals."),
        ),
        (
            "INVALID_OPERATING_ACCOUNT_FOR_CLICK",
            "INVALID_CUSTOMER_FOR_CLICK",
            "UNAUTHORIZED_CUSTOMER",
        ): StateAndReasonTexts(
            N_("another account's click"),
            N_("The click was on an ad of another Google Ads account."),
            N_(
                "Write the number of the Google Ads account that ran the ad in the settings (`google_ads.customer_id`)."
            ),
        ),
        ("CONVERSION_PRECEDES_CLICK", "CONVERSION_PRECEDES_EVENT"): StateAndReasonTexts(
            N_("before its click"),
            N_("Oplead dates the change before the click it is attributed to."),
            N_("Correct the status date in Oplead."),
        ),
        ("EVENT_TOO_OLD", "EXPIRED_EVENT"): StateAndReasonTexts(
            N_("too old for Google"),
            N_("Google answered that it is too old, though it was in time by your settings."),
            N_(
                "Nothing to do for this lead. Check the action's click window (`click_window_days`); a click whose "
                "time is not known, and taken from the lead's creation, may be older."
            ),
        ),
        ("DENIED_CONSENT",): StateAndReasonTexts(
            N_("consent denied at Google"),
            N_(
                "Google treats consent for this lead's data as denied, because of what was sent or of an account "
                "default."
            ),
            N_("Compare `consent` with the consent defaults of the Google Ads account: they decide if none was sent."),
        ),
        ("UNKNOWN_CONSENT",): StateAndReasonTexts(
            N_("consent unclear to Google"),
            N_(
                "From what was sent and the account's settings, Google cannot tell whether this lead's data may be "
                "used."
            ),
            N_("Give `consent.ad_user_data` a field, or set the consent defaults of the Google Ads account."),
        ),
        ("DUPLICATE_TRANSACTION_ID", "ORDER_ID_ALREADY_IN_USE"): StateAndReasonTexts(
            N_("already there, not by us"),
            N_("The platform already has this conversion, and not from this ledger."),
            N_(
                "Find out what else sends conversions to this action. If the state was restored from a backup, this "
                "may be one of ours: it counts, and there is nothing to do."
            ),
        ),
        ("CLICK_NOT_FOUND",): StateAndReasonTexts(
            N_("no ad click found"),
            N_("The platform finds no ad click from what was sent about the lead."),
            N_("Nothing to do: this is usual for leads that are sent by contact data and came without an ad."),
        ),
        ("CLICK_CONVERSION_ALREADY_EXISTS",): StateAndReasonTexts(
            N_("click counted already"),
            N_("The platform already has a conversion of this click at this very second, and accepts only one."),
            N_("Nothing to do if it is a duplicate lead; otherwise find out what else sends to this action."),
        ),
        ("CONVERSION_NOT_FOUND",): StateAndReasonTexts(
            N_("nothing to correct"),
            N_("The platform does not find the conversion to correct, so it keeps counting as reported."),
            N_(
                "Correct it in Google Ads. If it went through the Data Manager API and this happens to all of them, "
                "remove `undo_via`: their value then becomes 0 instead."
            ),
        ),
        ("100/2804003",): StateAndReasonTexts(
            N_("too old for Meta"),
            N_("Meta answered that it is too old, though it was in time by your settings."),
            N_("Nothing to do for this lead. Compare the date that Oplead gives its status with when it happened."),
        ),
        ("100/2804036",): StateAndReasonTexts(
            N_("lead_id not known"),
            N_("Meta does not know this lead_id."),
            N_("Check that Oplead stores the id of the form's lead whole: 15 to 17 digits, no rounding."),
        ),
        ("100/2804050",): StateAndReasonTexts(
            N_("too little about the person"),
            N_("Meta cannot identify a person from what was sent."),
            N_("Have the form ask for an e-mail address or a phone."),
        ),
    }
)
"""Keyed by the platforms' codes. Meta doesn't document its subcodes; these come from others' reports.

https://developers.google.com/data-manager/api/reference/rest/v1/ProcessingErrorReason
https://developers.google.com/google-ads/api/reference/rpc/v26/ConversionUploadErrorEnum.ConversionUploadError
https://developers.google.com/google-ads/api/reference/rpc/v26/ConversionAdjustmentUploadErrorEnum.ConversionAdjustmentUploadError
"""
SETTINGS_CODES: Mapping[str, StateAndReasonTexts] = TranslatedTexts(
    {
        "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE": StateAndReasonTexts(
            N_("closed to your project"),
            N_("The Google Ads API accepts uploads only from Google Cloud projects that used it before June 2026."),
            N_("Write `transport: data_manager` under `google_ads`, then run `oplead-sync check --live`."),
        ),
        f"{DATA_MANAGER}NO_CONSENT": StateAndReasonTexts(
            N_("advertiser's consent"),
            N_("The advertiser has not consented to Google's core platform services: a setting of the account."),
            N_("Have the Google Ads account's manager give that consent in its settings; then it goes out by itself."),
        ),
    }
)
"""Codes of waiting deliveries that no retry can change: they go out once the settings are fixed."""
