"""Takes the webhooks of Oplead into an inbox of their own, from which the next reading of leads takes them up."""
