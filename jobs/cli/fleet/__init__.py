"""`oplead-sync fleet …`: many accounts on any number of machines."""
