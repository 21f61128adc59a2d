"""The leads of the sandbox: invented people, their clicks and what becomes of them."""
