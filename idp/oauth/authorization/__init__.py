"""An authorization request on its way: its parameters, their checks, the decision, the answer."""
