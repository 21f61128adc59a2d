"""Meta: how it recognises people, what it takes, and the sink that carries conversions there."""
