"""Examines the chain from this machine to a picture, link by link."""
