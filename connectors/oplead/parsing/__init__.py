"""From Oplead's JSON to records: fields, dates, click ids, leads and webhooks."""
