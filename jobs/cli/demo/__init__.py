"""`demo`: weeks of nights on the sandbox in a minute, with planned failures."""
