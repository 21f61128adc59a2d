"""Google Ads: how it recognises people, what it takes, and the transports that carry conversions there."""
