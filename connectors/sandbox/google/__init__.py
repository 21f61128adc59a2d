"""Google as the sandbox plays it: its token server and its two interfaces."""
