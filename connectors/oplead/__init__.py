"""Read leads from Oplead's REST API.

The response format is unpublished, so parsing is tolerant and raises when it cannot make sense of a response. The only
public reference is the API guide, https://aide.eldo.com/fr/knowledge/comment-utiliser-lapi-oplead
"""
