"""What Google Ads says of accounts, conversion actions, transports and past uploads, as findings."""
