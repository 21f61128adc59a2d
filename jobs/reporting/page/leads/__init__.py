"""What the page counts of leads: signed sales, campaigns, times to a stage, agencies."""
