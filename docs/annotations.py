"""What the generated pages say and the code does not: examples and computed defaults of keys, notifications."""

from collections.abc import Mapping
from types import MappingProxyType

from jobs.alerts.incidents import IncidentKind

EXAMPLES: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        (section, key): example
        for section, keys in {
            "Settings": {
                "account": "maison-durand",
                "timezone": "Europe/Paris",
                "currency": "EUR",
                "schedule": '{ daily: "05:30" }',
                "state": "sqlite:///../state/maison-durand.db",
                "clock": "http://127.0.0.1:8090",
                "oplead": '{ token: "${OPLEAD_TOKEN}" }',
                "stages": "{ won: [Gagné, Vendu] }",
                "ignored_statuses": "[Nouveau, En cours]",
                "click_ids": "{ bare: by_utm }",
                "consent": "{ ad_user_data: { field: leadData.consent, granted: [oui], refused: [non] } }",
                "exclude": "{ email_domains: [maison-durand.fr] }",
                "google_ads": '{ customer_id: 123-456-7890, credentials: "${GOOGLE_ADS_KEY_FILE}" }',
                "meta": '{ dataset_id: "1234567890", access_token: "${META_ACCESS_TOKEN}" }',
                "conversions": "[{ id: sale, stage: won, google_ads: { conversion_action: 987654321 } }]",
                "notify": '["${NOTIFY_URL}"]',
                "notify_when": "{ rejected_above: 10 % }",
                "metrics": "/var/lib/node_exporter/oplead-durand.prom",
                "ping": "${PING_URL}",
                "retention": "leave it out",
                "report": "leave it out",
            },
            "ScheduleSettings": {"daily": '"05:30"', "cron": '"30 5 * * mon-fri"'},
            "OpleadSettings": {
                "token": "${OPLEAD_TOKEN}",
                "base_url": "https://api.oplead.com",
                "path_prefix": "/api/v2",
                "leads_path": "/leads",
                "lead_path": "/leads/{id}",
                "extra_headers": "{ Accept-Language: fr }",
                "extra_query": "{ archived: all }",
                "auth": "{ style: header, name: X-API-KEY }",
                "pagination": "{ style: page, size_param: limit, size: 100 }",
                "pull": "since",
                "since_filter": "{ param: updated_after, format: iso }",
                "detail": "never",
                "fields": "{ status_at: statusDate, phone: [contact.mobile, contact.phone] }",
                "rate": "60",
                "in_flight": "2",
                "overlap": "7 d",
                "budget": "2 h",
                "max_requests": "5000",
                "largest_page_mb": "128",
            },
            "AuthSettings": {"style": "header", "name": "X-API-KEY", "prefix": '"Token "'},
            "PaginationSettings": {
                "style": "page",
                "items": "data.leads",
                "next": "links.next",
                "page_param": "p",
                "first_page": "0",
                "size_param": "limit",
                "size": "100",
                "offset_param": "skip",
                "cursor_param": "after",
                "total": "meta.total",
                "total_header": "X-Total-Count",
                "max_pages": "500",
            },
            "SinceFilter": {"param": "updated_after", "format": '"%d/%m/%Y"', "until_param": "updated_before"},
            "FieldSettings": {
                "id": "uuid",
                "created_at": "createdAt",
                "updated_at": "updatedAt",
                "status": "status.label",
                "status_at": "statusDate",
                "history": "statusHistory",
                "click_id": "leadData.externalID",
                "click_id_at": "leadData.clickedAt",
                "utm_source": "leadData.utm_source",
                "utm_medium": "leadData.utm_medium",
                "utm_campaign": "leadData.utm_campaign",
                "email": "contact.email",
                "phone": "[contact.mobile, contact.phone]",
                "first_name": "contact.firstName",
                "last_name": "contact.lastName",
                "postcode": "contact.zip",
                "city": "contact.city",
                "country": "contact.country",
            },
            "ClickIds": {"bare": "gclid", "bare_digits": "lead_id"},
            "ConsentRule": {
                "ad_user_data": "{ field: leadData.consent, granted: [oui], refused: [non] }",
                "ad_personalization": "{ field: leadData.adPersonalization, granted: [oui], refused: [non] }",
                "missing": "assume_granted",
                "because": "Consent is a condition of the form",
            },
            "ConsentSignal": {"field": "leadData.consent", "granted": '[oui, "1"]', "refused": "[non]"},
            "ExcludeSettings": {
                "email_domains": "[maison-durand.fr]",
                "phones": '["01 99 00 00 00"]',
                "names": "[Test Test]",
                "fields": "{ type: [Test] }",
            },
            "DestinationSettings": {
                "id": "paris",
                "where": "{ agency: [Paris] }",
                "audience": "all",
                "contact_data": "attach",
                "max_per_run": "200",
            },
            "GoogleAdsSettings": {
                "customer_id": "123-456-7890",
                "login_customer_id": "111-222-3333",
                "transport": "google_ads_api",
                "credentials": "${GOOGLE_ADS_KEY_FILE}",
                "endpoint": "http://127.0.0.1:8080",
                "ads_api_endpoint": "http://127.0.0.1:8081",
                "event_source": "PHONE",
            },
            "MetaSettings": {
                "dataset_id": '"1234567890"',
                "access_token": "${META_ACCESS_TOKEN}",
                "app_secret": "${META_APP_SECRET}",
                "graph_url": "http://127.0.0.1:8082",
                "funnel": "{ created: lead_received, won: sale }",
                "funnel_since": "2026-09-01",
                "in_doubt": "ask",
                "action_source": "phone_call",
            },
            "ConversionSettings": {
                "id": "sale",
                "name": "Vente signée",
                "stage": "won",
                "since": "2026-09-01",
                "where": "{ channel: [Site web] }",
                "was": "old-id",
                "implied_by": "[won]",
                "value": "60",
                "undo_when": "[lost]",
                "undo_after": "5 d",
                "undo_via": "google_ads_api",
                "count_once_per": "click",
                "within": "30 d",
                "shared_action": "true",
                "google_ads": "{ conversion_action: 987654321 }",
                "meta": "{ event: Schedule }",
            },
            "FieldValue": {
                "field": "amount",
                "tax": "included",
                "otherwise": "900",
                "wait_for_value": "7 d",
                "restate_above": "10 %",
            },
            "GoogleConversion": {
                "conversion_action": "{ id: 987654321, click_window_days: 30 }",
                "event_source": "PHONE",
                "destination": "paris",
            },
            "GoogleAction": {"id": "987654321", "click_window_days": "30"},
            "MetaConversion": {"event": "Purchase", "action_source": "phone_call"},
            "NotifyWhen": {
                "rejected_above": "10 %",
                "rejected_at_least": "10",
                "silent_above": "8",
                "acceptance_drop": "30",
                "expires_within": "2 d",
                "ends_within": "30 d",
            },
        }.items()
        for key, example in keys.items()
    }
)
"""By section and key, as it is written in the file."""

DEFAULTS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("Settings", "state"): "`ACCOUNT.db` beside the file",
        ("OpleadSettings", "pull"): "`since` if there is a `since_filter`, otherwise `list`",
        ("PaginationSettings", "items"): "searched for",
        ("PaginationSettings", "total"): "searched for",
        ("DestinationSettings", "id"): "`google_ads` or `meta`",
        ("DestinationSettings", "max_per_run"): "50, or five times the busiest of the last 28 nights",
        ("MetaSettings", "funnel_since"): "the first real run",
        ("ConversionSettings", "name"): "its `id`",
        ("ConversionSettings", "since"): "the first real run",
        ("ConversionSettings", "undo_via"): "the destination's `transport`",
        ("GoogleConversion", "event_source"): "the destination's",
        ("GoogleConversion", "destination"): "all of them",
        ("GoogleAction", "click_window_days"): "`90`",
        ("MetaConversion", "action_source"): "the destination's",
    }
)
"""Of keys whose default the job works out."""

NOTIFICATIONS: Mapping[IncidentKind, tuple[tuple[str, str, str], ...]] = MappingProxyType(
    {
        IncidentKind.SOURCE: (
            (
                "Oplead cannot be read",
                "reading stopped tonight",
                "fix the key or the setting it names; `oplead-sync check --live` shows what Oplead answers",
            ),
        ),
        IncidentKind.STOPPED: (
            (
                "X stopped",
                "a destination, or one of its conversion actions, refuses us or kept failing",
                "fix what it names; what waits goes out by itself",
            ),
        ),
        IncidentKind.EXPIRING: (
            (
                "X: N conversions will expire",
                "their destination is stopped or held, and their window closes within three days of the next night",
                "fix it before the day it names: an expired conversion cannot be sent",
            ),
        ),
        IncidentKind.HELD: (
            (
                "X: far more than usual is held",
                "the volume guard holds what is due",
                "look at `run --dry-run`, then `run --accept-volume`, or fix the settings",
            ),
        ),
        IncidentKind.REJECTED: (
            (
                "X rejects N % of what it settles; … of the corrections it settles",
                (
                    "more than 5 % and at least 5 were rejected, conversions and corrections counted apart; those to "
                    "be expected do not count"
                ),
                "`explain` one of the leads it names",
            ),
        ),
        IncidentKind.ACCEPTANCE: (
            (
                "X accepts fewer than usual",
                (
                    "the share accepted is 20 points below the median, with at least 5 settled tonight and 7 nights to "
                    "compare with"
                ),
                "`status` shows the reasons",
            ),
        ),
        IncidentKind.NOTHING_SENT: (
            (
                "X: nothing was sent tonight",
                "the median of at least 7 of the last 14 nights is 5 or more; nights without a run do not count",
                "did anyone enter statuses in Oplead? `status` shows what is held back",
            ),
        ),
        IncidentKind.ANOMALY: (
            (
                "Conversions may be missing",
                "one of the alarms above: an empty field, lost or damaged click ids, one reason that stops everything",
                "what the sentence says",
            ),
            (
                "Conversions are held back; Amounts may be missing",
                "no lead has an amount at `value.field`, or none of the latest that reached the stage",
                "fix the path, or write a number as `value`",
            ),
        ),
        IncidentKind.IN_DOUBT: (
            (
                "X: N conversions in doubt; X: N corrections in doubt",
                "an answer was lost",
                "nothing: the next night asks; with `in_doubt: ask`, decide",
            ),
        ),
        IncidentKind.UNCONFIRMED: (
            (
                "X: N conversions unconfirmed; X: N corrections unconfirmed",
                "the platform will never say what became of them",
                "look them up in the platform's diagnostics",
            ),
        ),
        IncidentKind.ENDS: (
            (
                "… is near its end",
                "a platform is about to retire the API version that this program uses",
                "install a newer oplead-sync before that day",
            ),
        ),
    }
)
"""By the kind of incident: title, when, what to do."""
