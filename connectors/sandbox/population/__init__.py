"""The sandbox's leads: invented people, their ad clicks and their way through the funnel."""
