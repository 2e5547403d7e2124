"""The four combinations with which the FAPI 2.0 plans run."""

from __future__ import annotations

from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Combination:
    """How a client authenticates, and what its tokens are bound to."""

    by_certificate: bool = False
    """Whether it authenticates by its certificate instead of an assertion."""
    bound_to_certificate: bool = False
    """Whether its tokens are bound to its certificate instead of the key of its proofs."""

    @property
    def shows_certificate(self) -> bool:
        """Whether its connections have the certificate."""
        return self.by_certificate or self.bound_to_certificate


COMBINATIONS = {
    "private_key_jwt-dpop": Combination(),
    "private_key_jwt-mtls": Combination(bound_to_certificate=True),
    "mtls-dpop": Combination(by_certificate=True),
    "mtls-mtls": Combination(by_certificate=True, bound_to_certificate=True),
}
USUAL = COMBINATIONS["private_key_jwt-dpop"]
"""That of modules to which it makes no difference."""


def combined(*names: str) -> pytest.MarkDecorator:
    """Run a module with clients of these combinations instead of the usual one."""
    return pytest.mark.parametrize("combination", [COMBINATIONS[name] for name in names], ids=names)


in_each_combination = combined(*COMBINATIONS)
with_assertions = combined("private_key_jwt-dpop", "private_key_jwt-mtls")
with_proofs = combined("private_key_jwt-dpop", "mtls-dpop")
with_bound_certificates = combined("private_key_jwt-mtls", "mtls-mtls")
by_each_method = with_proofs
"""For modules that push only, where it makes no difference what tokens are bound to."""
