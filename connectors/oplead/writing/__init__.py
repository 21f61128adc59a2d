"""Write to Oplead: leads, documents, statuses and webhook subscriptions.

`writer` is the port; `encode` makes a request's body of a lead, `receipts` judges the answer, and `lists` reads what a
platform is set up for.
"""
