"""The screen of identity resources: scopes that stand for claims about the person."""
