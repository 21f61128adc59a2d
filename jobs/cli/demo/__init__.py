"""`demo`: weeks of nights on the sandbox in a minute, with everything going wrong that can."""
