"""What a sample of leads shows, whether the API gave them or a file.

`places` finds where fields are, `values` summarises what they hold, and `click_ids` tells what became of click ids.
"""
